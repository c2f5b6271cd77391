"""Benchmarks and parity suites: what the README's numbers come from."""
