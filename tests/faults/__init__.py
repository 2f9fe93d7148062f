"""What fails in the midst of writing: a disk, or the power."""
