"""For people: figures, maps, explorers and reports."""
