"""Log, memory, device and precision: PyTorch and the machine, without any knowledge of nets."""
