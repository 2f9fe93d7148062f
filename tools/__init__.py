"""What only this repository's own upkeep needs; the Makefile calls it."""
