"""What a model file or a bundle is, read without running it."""
