"""Genres learned on the device: what the bundle knows of its own classes, the head that is learned, its file."""
