"""Augmentation of log-mel windows and of waveforms."""
