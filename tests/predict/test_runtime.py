"""OpenVINO reports nothing to anybody, forks no process for it, and leaves signals alone."""

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("jointnet.predict.runtime")
UNFORKED = """
import os, sys
def forked():
    os.write(2, b"a process was forked")
    os._exit(3)
os.register_at_fork(before=forked)
"""
CONVERTED = UNFORKED + """
from jointnet.backend import keras
from jointnet.network.model import build_jointnet
from jointnet.predict.convert import openvino_window
openvino_window(build_jointnet("tiny", growth_rates=(4, 4, 4), dilation_rates=(1, 2)), 16)
"""
IMPORTED = UNFORKED + """
import openvino_telemetry
import jointnet.predict.runtime
"""
TOLD = """
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, "openvino_telemetry" in sys.modules)
"""
SIGNALLED = """
import signal, sys
from jointnet.predict.runtime import CORE, openvino
def compiled():
    x = openvino.opset11.parameter([1, 3, 8, 8])
    return CORE.compile_model(openvino.Model([openvino.opset11.relu(x)], [x], "one"), "CPU")
signal.signal(signal.SIGINT, lambda number, frame: print("heard"))
first, second = compiled(), compiled()
del first
del second
signal.raise_signal(signal.SIGINT)
"""


def said(home, program):
    """What a program prints in a process of its own, with a home folder of its own."""
    done = subprocess.run([sys.executable, "-c", program + TOLD], env=os.environ | {"HOME": str(home)}, text=True,
                          capture_output=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_conversion_reports_nothing_and_leaves_nothing_in_the_home_folder(tmp_path):
    assert said(tmp_path, CONVERTED) == ["openvino.tools.ovc.telemetry_stub", "False"]
    assert not (tmp_path / "intel").exists()


def test_a_program_that_reports_by_itself_keeps_its_package(tmp_path):
    assert said(tmp_path, IMPORTED) == ["openvino.tools.ovc.telemetry_stub", "True"]


def test_a_process_still_hears_signals_when_its_networks_have_gone_in_the_order_they_came(tmp_path):
    """With a Core for each of them it dies there of a segmentation fault."""
    assert said(tmp_path, SIGNALLED)[0] == "heard"


def test_no_other_module_loads_openvino_or_makes_a_core(project_root):
    another_way = re.compile(r"^\s*(import openvino|from openvino)\b|\bCore\(\)", re.M)
    files = [path for folder in ("jointnet", "recipes", "benchmarks") for path in (project_root / folder).rglob("*.py")]
    assert [path.name for path in files if another_way.search(path.read_text(encoding="utf-8"))] == ["runtime.py"]
