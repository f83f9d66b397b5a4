"""Remarks on the slides of a deck: what can be measured, and apart from it what a model has to say."""
