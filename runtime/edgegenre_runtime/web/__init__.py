"""The web page: a bundle's front-end and network in a browser, and the face of ``edgegenre-run --http``."""
