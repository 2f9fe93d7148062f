"""Golden cases that every checkout has: what the original Caffe forks computed, about 1.2 MB.

layers.npz, detection.npz, losses.npz and solver.npz are a choice from shared/golden, packed by
`pack.py`. fork_layers.npz holds layers and options that shared/golden lacks, recorded with the
same CPU build of weiliu89/caffe (ssd).
"""
