"""Benchmarks: each figure is a ratio to a stated limit, measured in the same run, interleaved."""
