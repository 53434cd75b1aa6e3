"""What goes in: imagery, labels, datasets and the patches that training reads."""
