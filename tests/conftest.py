"""What every test may use."""

import os
import signal
import warnings
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

ROOT = Path(__file__).resolve().parents[1]
hypothesis.settings.register_profile("the same each time", derandomize=True)
hypothesis.settings.load_profile("the same each time")


def pytest_addoption(parser):
    parser.addoption("--full-size", action="store_true", help="run the lessons with the settings that a reader sees")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: takes minutes of training; left out without --full-size")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a run in the background; some tests send interrupts
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Begins with the files that hold slow tests, so that no processor ends long after the other.

    Leaves the full-length tests out, unless they are asked for.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if config.getoption("--full-size"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Ends the run when one of its processes has died: pytest-xdist would wait for its tests for ever."""
    if error:
        node.config.pluginmanager.get_plugin("dsession").shouldstop = "a process of the run died"


@pytest.fixture
def uncompiled():
    """Keras trains layer by layer: to trace a network takes several times as long as a test's few steps."""
    from jointnet.backend import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    warnings.filterwarnings("ignore", message=".*does not apply to tf.data functions")  # until this test has ended
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of the clone."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real imagery beside the clone, which the project may not hold; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real imagery is looked for in {folder}, which does not exist")
    return folder
