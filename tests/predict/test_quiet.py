"""OpenVINO reports nothing to anybody, and the process is not forked for it."""

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("openvino")
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
import jointnet.predict.quiet
"""
TOLD = """
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, "openvino_telemetry" in sys.modules)
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


def test_no_module_loads_openvino_in_another_way(project_root):
    plain = re.compile(r"^\s*(import openvino|from openvino)\b", re.M)
    found = [path for folder in ("jointnet", "recipes", "benchmarks") for path in (project_root / folder).rglob("*.py")
             if plain.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in found] == []
