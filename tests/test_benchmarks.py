"""The benchmarks still run: on the smallest inputs, and without what they compare with."""

import importlib.util
from argparse import Namespace

import pytest


def benchmark(project_root, name):
    """A file of `benchmarks` as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", project_root / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("uncompiled")
def test_a_training_step_and_a_forward_pass_are_timed(project_root):
    settings = Namespace(variant="ours", preset="tiny", batch=1, side=16)
    times = benchmark(project_root, "training").keras_times(settings)
    assert times["step"] > times["forward"] > 0


def test_without_pytorch_the_comparisons_with_it_say_so(project_root, monkeypatch):
    monkeypatch.delenv("JOINTNET_TORCH", raising=False)
    prediction = benchmark(project_root, "prediction")
    assert prediction.torch_eager(1.0)[0] == "not measured: JOINTNET_TORCH names no Python"
    assert [row[1] for row in prediction.peer(Namespace(side=64))] == [
        "not measured: JOINTNET_TORCH names no Python that has it"]
