"""Model files for every target, from the prepared network."""
