"""Pictures of runs: loss curves, training images, and detections."""
