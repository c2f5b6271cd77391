"""Heads over the windows of a track, trained on embeddings."""
