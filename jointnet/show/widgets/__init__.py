"""Explorers: a Python half here, a JavaScript half beside it."""
