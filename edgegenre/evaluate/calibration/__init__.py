"""Calibration: how sure a network says it is, when it says that it does not know, and what it takes for music."""
