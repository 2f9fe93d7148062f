"""A prototxt made runnable: graph, parameters, execution."""
