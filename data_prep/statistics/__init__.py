"""Counts, tables and pictures of a data set."""
