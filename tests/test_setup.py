"""One dependency list, a lock that agrees with it, and commands that exist."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import jointnet


@pytest.fixture(scope="module")
def project(project_root):
    return tomllib.loads((project_root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def locked(project_root):
    """Name -> versions pinned in the lock; more than one where platforms or Pythons differ."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", (project_root / "requirements.lock").read_text(), re.MULTILINE)
    versions = {}
    for name, version in pins:
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def test_every_dependency_says_why_it_is_there(project_root):
    text = (project_root / "pyproject.toml").read_text()
    listed = re.findall(r'^  "[A-Za-z][\w-]*(?:\[[\w-]+\])?[<>=][^"]*",(.*)$', text, re.MULTILINE)
    assert len(listed) > 30
    assert [rest for rest in listed if not re.fullmatch(r" +# .+", rest)] == []


def test_the_lock_satisfies_the_one_list_of_dependencies(project, locked):
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(r for name in extras if name != "gpu" for r in extras[name])]
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement} is not in requirements.lock; run make lock"
        assert all(requirement.specifier.contains(v) for v in versions), f"{requirement}: locked {versions}"


def test_the_lock_checks_hashes_and_names_no_address(project_root):
    text = (project_root / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-zA-Z])", text)
    assert [e.split()[0] for e in entries if "--hash=sha256:" not in e] == []
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_conda_users_get_the_same_list(project, project_root):
    lines = (project_root / "environment.yml").read_text().splitlines()
    named = {Requirement(line.removeprefix("  - ")) for line in lines if re.match(r"  - [\w-]+[<>=]", line)}
    assert named - {Requirement("python>=3.11,<3.13")} == {
        Requirement(line.partition(";")[0]) for line in project["dependencies"]}
    extras = ["dev", *sorted(set(project["optional-dependencies"]) - {"dev", "gpu"})]
    assert [re.findall(r"\w+", line)[1:] for line in lines if "-e ." in line] == [extras]


def test_version_and_command_are_the_packages_own(project):
    assert project["version"] == jointnet.__version__
    module, name = project["scripts"]["jointnet"].split(":")
    assert (module, name) == ("jointnet.__main__", "main")


def make(folder, *arguments, **environment):
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def bare(project_root, tmp_path):
    """A folder with the Makefile and nothing installed."""
    shutil.copy(project_root / "Makefile", tmp_path)
    return tmp_path


def test_make_alone_lists_every_command(bare):
    shown = re.findall(r"^make (\S+) +\S", make(bare).stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.+)$", (bare / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert sorted(shown) == sorted(phony)


def test_make_names_the_pythons_it_looked_for_when_none_fits(bare):
    old = bare / "python-too-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    run = make(bare, ".venv/bin/python", f"PYTHON={old}")
    assert run.returncode != 0
    assert f"no Python 3.11, 3.12 or 3.13 among: {old}" in run.stderr
    assert not (bare / ".venv").exists()


def test_a_python_that_cannot_make_environments_is_reported_and_leaves_nothing(bare):
    broken = bare / "python-without-venv"
    broken.write_text('#!/bin/sh\n[ "$1" != -m ] || { mkdir -p .venv/bin; exit 1; }\n')
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    run = make(bare, ".venv/bin/python", f"PYTHON={broken}")
    assert run.returncode != 0
    assert "apt install python3-venv" in run.stderr
    assert not (bare / ".venv").exists()


def test_set_up_runs_again_only_when_the_lock_or_the_list_changed(bare):
    """make's own dry run: no command when .ready is newer, the installation when pyproject.toml is."""
    for number, name in enumerate(["requirements.lock", "pyproject.toml", ".venv/bin/python", ".venv/.ready"]):
        path = bare / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_000 + number, 1_000 + number))
    assert "uv pip sync" not in make(bare, "-n", "setup").stdout
    os.utime(bare / "pyproject.toml", (2_000, 2_000))
    assert "uv pip sync" in make(bare, "-n", "setup").stdout


def test_make_lab_opens_copies_and_never_touches_the_lessons(bare, project_root):
    """A JupyterLab that only says how it was called; Python is the one of these tests."""
    for name, text in {"python": f'exec "{sys.executable}" "$@"', "jupyter": 'echo opened "$@"'}.items():
        program = bare / ".venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.ready"):
        (bare / name).touch()
    shutil.copytree(project_root / "notebooks", bare / "notebooks", ignore=shutil.ignore_patterns("runs", ".*"))
    lessons = {p.name: p.read_bytes() for p in (bare / "notebooks").glob("*.ipynb")}
    said = make(bare, "lab", "ARGS=--no-browser", PYTHONPATH=str(project_root)).stdout
    assert "my_lessons holds copies to work in: the lessons themselves stay as they are" in said
    (opened,) = re.findall(r"^opened (.+)$", said, re.MULTILINE)
    assert {"--notebook-dir=my_lessons", "--LabApp.default_url=/lab/tree/00_start_here.ipynb"} < set(opened.split())
    assert opened.endswith("--no-browser")
    assert {p.name for p in (bare / "my_lessons").glob("*.ipynb")} == set(lessons)
    assert {p.name: p.read_bytes() for p in (bare / "notebooks").glob("*.ipynb")} == lessons
    assert "my_lessons/" in (project_root / ".gitignore").read_text().splitlines()


def test_the_ci_script_can_be_run_and_ends_with_the_tests(project_root):
    script = project_root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test")
    assert subprocess.run(["sh", "-n", script], timeout=10).returncode == 0


def test_readers_are_told_only_of_commands_that_exist(project_root):
    targets = set(re.findall(r"^([a-z]+):", (project_root / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|^|\s{4})make ([a-z]+)", (project_root / page).read_text(), re.MULTILINE))
        assert named <= targets, f"{page} names make {named - targets}"
        assert "test" in named


def test_the_citation_names_the_paper(project_root):
    text = (project_root / "CITATION.cff").read_text()
    assert "doi: 10.3390/rs11060696" in text
    assert "JointNet: A Common Neural Network for Road and Building Extraction" in text
