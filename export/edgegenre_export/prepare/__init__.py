"""Before the conversion: supported operators, pruning, fine-tuning and fake quantization."""
