"""`jointnet.evaluate` is a verb and a package, whichever was used first."""

import importlib
import subprocess
import sys

import pytest

import jointnet
from jointnet.data.scene import Dataset


def test_the_verb_can_still_be_called_once_its_package_was_imported(tmp_path):
    counts = importlib.import_module("jointnet.evaluate.counts")
    for _ in range(2):  # the first use of a verb imports its module, which binds the package's name
        with pytest.raises(ValueError, match="is not a folder"):
            jointnet.evaluate(tmp_path / "nowhere", Dataset("none", ()))
    assert jointnet.evaluate.counts is counts


def test_the_verb_can_be_called_twice_in_a_fresh_python():
    code = (
        "import jointnet; from jointnet.data.scene import Dataset\n"
        "for _ in range(2):\n"
        "    try: jointnet.evaluate('nowhere', Dataset('none', ()))\n"
        "    except ValueError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.count("is not a folder") == 2
