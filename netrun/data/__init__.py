"""What AnnotatedData needs: AnnotatedDatum decoder, SSD's augmentation, prefetching loader."""
