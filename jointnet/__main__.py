"""`jointnet` and `python -m jointnet`: the command line as a program of its own."""

import gc
import sys


def main() -> None:
    """Runs the command that was typed."""
    gc.set_threshold(100_000)  # imports make objects that stay: looking among them for rubbish is a tenth of a start
    if "--parquet" not in sys.argv:  # pandas would load it where it is installed: 40 MB and a moment for nothing
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]  # None: as if it were not installed
    if sys.argv[1:2] == ["predict"]:  # networks are ready to run; what converts others takes a tenth of a second
        sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    from jointnet.cli import app

    app()


if __name__ == "__main__":  # the processes of a local cluster import this file, too
    main()
