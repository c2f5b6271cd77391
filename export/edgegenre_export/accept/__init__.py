"""The acceptance gate: whether an artifact may stand for the network it comes from."""
