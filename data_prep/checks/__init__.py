"""Finds faults in data, and reports them."""
