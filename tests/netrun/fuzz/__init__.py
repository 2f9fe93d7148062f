"""Damaged and absurd files against netrun: see __main__.py."""
