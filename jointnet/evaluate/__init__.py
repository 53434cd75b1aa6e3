"""How good a prediction is, and where it fails."""
