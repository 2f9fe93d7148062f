"""What the image layers need: readers and decoders of records, SSD's augmentation, prefetching loader."""
