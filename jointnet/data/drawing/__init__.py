"""How a drawn scene comes about: the look of a city, the plan of a town, a photograph of it."""
