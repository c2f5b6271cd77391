"""Measurements on this machine, beside what people would use otherwise."""
