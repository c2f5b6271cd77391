"""One network by every implementation that a bundle has, over the same windows."""
