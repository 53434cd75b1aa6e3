"""What learns: the network, its losses and metrics, its training and its weights."""

import jointnet.backend  # noqa: F401  first, so that loading Keras says nothing
