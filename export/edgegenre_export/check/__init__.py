"""Whether the model files are what they should be: dtypes, golden vectors, agreement, layers."""
