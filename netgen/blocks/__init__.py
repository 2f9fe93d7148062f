"""Building blocks that map blobs to blobs."""
