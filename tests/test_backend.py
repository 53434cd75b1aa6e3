"""Loading the network says nothing, and hides nothing else."""

import os
import re
import subprocess
import sys

import pytest

from jointnet.backend import silent_stderr


def run_python(code: str, root, **environment) -> subprocess.CompletedProcess:
    kept = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=True, cwd=root
    )


def test_loading_the_network_writes_nothing_to_the_terminal(project_root):
    code = "import jointnet.network.model, sys; print('keras' in sys.modules); print('said', file=sys.stderr)"
    run = run_python(code, project_root)
    assert (run.stdout, run.stderr) == ("True\n", "said\n")


def test_what_is_written_inside_is_hidden_and_what_follows_is_shown(capfd):
    with silent_stderr():
        os.write(2, b"hidden")
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


def test_an_error_inside_gives_stderr_back(capfd):
    with pytest.raises(ZeroDivisionError), silent_stderr():
        _ = 1 / 0
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


def test_recipes_and_benchmarks_load_keras_as_the_package_does(project_root):
    """`import keras` before the package loads TensorFlow without oneDNN: the same training takes twice as long."""
    scripts = [p for folder in ("recipes", "benchmarks") for p in (project_root / folder).glob("*.py")]
    assert scripts
    assert [p.name for p in scripts if re.search(r"^(import keras|from keras)", p.read_text(), re.MULTILINE)] == []
