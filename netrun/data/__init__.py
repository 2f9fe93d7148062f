"""What AnnotatedData needs: LMDB reader, AnnotatedDatum decoder, SSD's augmentation, prefetching loader."""
