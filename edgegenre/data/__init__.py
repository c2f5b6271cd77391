"""Data sets: tracks, splits, audio, and the feature cache that training reads."""
