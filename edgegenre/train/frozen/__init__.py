"""A frozen network and a regression on its features: heads, out-of-fold soft labels, protocols."""
