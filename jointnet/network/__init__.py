"""What learns: the network, its losses and metrics, its training and its weights."""

import jointnet.backend  # noqa: F401  loads nothing; whoever loads Keras later gets oneDNN, and silence
