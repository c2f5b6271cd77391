"""Evaluation: scores, metrics, robustness, reports, explanations and the cost of a network."""
