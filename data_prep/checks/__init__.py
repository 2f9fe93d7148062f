"""What is wrong with data, and the report of it."""
