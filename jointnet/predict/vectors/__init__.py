"""Probabilities and masks in; polygons and centre lines out."""
