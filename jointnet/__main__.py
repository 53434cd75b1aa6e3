"""`jointnet` and `python -m jointnet`: the command line as a program of its own."""

import sys


def main() -> None:
    """Runs the command that was typed."""
    if "--parquet" not in sys.argv:  # pandas would load it where it is installed: 40 MB and a moment for nothing
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]  # None: as if it were not installed
    from jointnet.cli import app

    app()


if __name__ == "__main__":  # the processes of a local cluster import this file, too
    main()
