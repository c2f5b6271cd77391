"""Networks that others trained on music or sound, with their weights and their way to write a window."""
