"""How good detections are, and the files that challenges take them in."""
