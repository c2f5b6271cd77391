"""``edgegenre-run --update``: a newer bundle in the place of the one that is there, or everything as it was."""
