"""Builds LMDBs from annotations and images."""
