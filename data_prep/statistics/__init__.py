"""Numbers and pictures of a data set."""
