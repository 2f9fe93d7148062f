"""Log, memory, device and precision: all that concerns PyTorch and the machine, but not nets."""
