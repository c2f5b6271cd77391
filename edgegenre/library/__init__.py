"""What a scanned library is like, as a page for people."""
