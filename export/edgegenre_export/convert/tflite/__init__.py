"""``.tflite`` files: from torch, in 8 bits, joined with the front-end, with the embedding as a second output."""
