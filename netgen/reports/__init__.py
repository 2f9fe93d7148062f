"""What is said about nets: summaries, checks, differences, zoo pages."""
