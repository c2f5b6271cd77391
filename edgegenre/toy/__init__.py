"""Toy music: ten rendered styles, for tests, demos and a first training without any data."""
