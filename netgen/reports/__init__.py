"""Texts about nets: summaries, checks, differences, zoo pages."""
