"""What the README promises exists."""

import ast
import re

import jointnet
from jointnet.cli import app


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
