"""Benchmarks of netrun beside what else runs the same nets: `make bench`."""
