"""What learns: the network, its losses and metrics, its training and its weights."""
