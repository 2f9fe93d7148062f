"""Necks: a backbone's feature maps → the maps that the heads look at."""
