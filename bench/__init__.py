"""Benchmarks of netrun beside its peers (`make bench`), of netgen (`bench-netgen`) and of data_prep
(`bench-data`).
"""
