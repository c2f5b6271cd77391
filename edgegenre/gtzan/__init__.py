"""GTZAN: its tracks, duplicates and protocols, and the import of its log-mels."""
