"""What people would use otherwise: librosa, SciPy, onnxruntime and LiteRT, timed and compared."""
