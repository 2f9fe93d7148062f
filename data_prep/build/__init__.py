"""Annotations and images to LMDBs."""
