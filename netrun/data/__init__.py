"""What the image layers need: decoders of records, lists and videos, SSD's augmentation, prefetching loader."""
