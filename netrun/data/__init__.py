"""The image layers' parts: decoders of records, SSD's augmentation, a loader that reads ahead."""
