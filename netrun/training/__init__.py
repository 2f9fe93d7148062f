"""The solver: updates, learning rate, snapshots, signals, several processes."""
