"""What writes feature caches: labeled audio, sounds that are no music, unlabeled music, ready sets of log-mels."""
