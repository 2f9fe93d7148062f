"""Draws a data set of shapes."""
