"""Sorting texts by labels, read from a model's probabilities: nothing is generated."""
