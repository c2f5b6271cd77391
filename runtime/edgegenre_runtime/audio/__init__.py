"""Audio on the device: files and raw PCM, resampled to what the front-end takes, and what is not given a genre."""
