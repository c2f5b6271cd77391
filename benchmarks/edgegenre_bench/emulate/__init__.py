"""Emulated boards: the same bits, and counted instructions."""
