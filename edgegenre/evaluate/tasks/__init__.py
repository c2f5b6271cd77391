"""Evaluation of networks that know several labels at a time, or a hierarchy."""
