"""Fetches the archives of public data sets."""
