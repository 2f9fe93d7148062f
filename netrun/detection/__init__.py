"""Boxes: coding, matching, suppression, mining, and detections in result files."""
