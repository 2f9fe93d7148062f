"""Reads and writes files of weights, as arrays: caffemodel in binary and HDF5."""
