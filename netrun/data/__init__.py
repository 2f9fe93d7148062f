"""Parts of the image layers: decoders of records, SSD's augmentation, a loader that reads ahead."""
