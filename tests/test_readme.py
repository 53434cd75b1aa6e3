"""What the README promises exists."""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest
from shapely import box

import jointnet
from jointnet.cli import app
from jointnet.data.raster import write_raster
from tests.data.known_grid import WEST, grid_of, on_grid


def readme(root):
    return (root / "README.md").read_text()


def test_its_python_uses_public_names_only(project_root):
    snippets = re.findall(r"```python\n(.+?)```", readme(project_root), re.DOTALL)
    used = set(re.findall(r"\bjointnet\.(\w+)\(", readme(project_root)))
    for snippet in snippets:
        ast.parse(snippet)
    assert len(snippets) >= 1
    assert used
    assert used <= set(jointnet.__all__)


@pytest.mark.timeout(600)
def test_its_example_of_own_data_runs_as_it_stands(project_root, tmp_path):
    """Two photographs and one file of footprints in degrees; the training alone is cut short."""
    snippet = next(s for s in re.findall(r"```python\n(.+?)```", readme(project_root), re.DOTALL) if "my images" in s)
    few = '"tiny", mine, epochs=1, steps=2, patch_size=64, batch_size=2, verbose=0,'
    short = snippet.replace('"small", mine,', few)
    assert short != snippet
    houses = [box(5 + 40 * k, 5, 25 + 40 * k, 25) for k in range(4)]
    (tmp_path / "my images").mkdir()
    on_grid(*houses).to_crs(4326).to_file(tmp_path / "my images" / "footprints.geojson")
    for k, name in enumerate(("west", "east")):
        pixels = np.random.default_rng(k).integers(60, 200, (80, 80, 3)).astype(np.uint8)
        write_raster(tmp_path / "my images" / f"{name}.tif", pixels, grid_of(80, 80, west=WEST + 80 * k))
    at_once = "import tensorflow as tf\ntf.config.run_functions_eagerly(True)\n"  # to trace takes longer than two steps
    command = [sys.executable, "-c", f"{at_once}import jointnet\n{short}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=580)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "runs" / "mine" / "best.weights.h5").exists()
    assert len(list((tmp_path / "runs" / "maps").glob("*_mask.tif"))) == 1


def test_its_commands_are_those_of_the_command_line(project_root):
    named = set(re.findall(r"(?:`|    )jointnet ([a-z]+)", readme(project_root)))
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert named
    assert named <= known


def test_its_table_lists_the_lessons_that_there_are(project_root):
    listed = re.findall(r"^\| `(\d\d_\w+)` \|", readme(project_root), re.MULTILINE)
    assert listed == sorted(path.stem for path in (project_root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def test_every_file_it_sends_the_reader_to_is_there(project_root):
    files = re.findall(r"`([\w./]+\.(?:md|yml|cff|toml|lock))`", readme(project_root))
    assert {"data/README.md", "CITATION.cff", "environment.yml"} <= set(files)
    assert [name for name in files if not (project_root / name).exists()] == []


def test_the_address_to_clone_is_left_to_whoever_publishes(project_root):
    """Nobody is sent to a repository that is not this one: fill it in where the project gets its home."""
    (address,) = re.findall(r"git clone (\S+) jointnet", readme(project_root))
    assert address == "ADDRESS-OF-THIS-REPOSITORY"


def test_it_leads_to_the_teachers_page_and_the_glossary(project_root):
    linked = re.findall(r"\]\(([\w./]+\.md)\)", readme(project_root))
    assert {"docs/teaching.md", "docs/glossary.md"} <= set(linked)
    assert [name for name in linked if not (project_root / name).exists()] == []
