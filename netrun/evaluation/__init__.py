"""Measures how good a model's detections are, and how long its passes take."""
