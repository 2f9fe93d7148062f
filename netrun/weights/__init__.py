"""Files of weights as arrays: caffemodel in binary and HDF5."""
