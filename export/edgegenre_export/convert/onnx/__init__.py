"""``.onnx`` files: from torch, in 8 bits, joined with the front-end, and what is in them."""
