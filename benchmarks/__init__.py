"""Measurements of speed, memory and accuracy; run with ``python -m benchmarks.<name>``."""
