"""`python -m jointnet` is the command line."""

from jointnet.cli import app

if __name__ == "__main__":  # the processes of a local cluster import this file, too
    app()
