"""Images: reading, headers, encoding."""
