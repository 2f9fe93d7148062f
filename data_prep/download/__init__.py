"""Archives fetched from where they are published."""
