"""Weights, activation ranges and calibration of an int8 network."""
