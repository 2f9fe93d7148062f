"""From annotated photographs to the annotated LMDBs that Caffe's SSD fork and netrun read."""
