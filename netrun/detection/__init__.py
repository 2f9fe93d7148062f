"""Boxes: coding, matching, suppression, hard example mining, and detections in result files."""
