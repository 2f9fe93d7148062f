"""Log, memory, device, precision: PyTorch and the machine, nothing of nets."""
