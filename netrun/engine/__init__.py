"""Runs a prototxt: graph, parameters, execution."""
