"""`python -m jointnet` is the command line."""

from jointnet.cli import app

app()
