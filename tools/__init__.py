"""Programs for the upkeep of this repository alone; the Makefile calls them."""
