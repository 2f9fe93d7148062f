"""Curves drawn with matplotlib."""
