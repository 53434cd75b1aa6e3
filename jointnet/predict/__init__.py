"""What comes out: probabilities, masks and polygons of whole scenes."""
