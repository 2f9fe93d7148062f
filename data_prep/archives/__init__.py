"""Archives: their members, and data sets that are read from them."""
