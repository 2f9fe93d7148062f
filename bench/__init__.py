"""Benchmarks: netrun beside what else runs the same nets (`make bench`), writing nets (`bench-netgen`), converting data (`bench-data`)."""
