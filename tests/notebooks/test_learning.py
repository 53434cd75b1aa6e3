"""What lesson 3 promises, with the settings that a reader sees.

    pytest --full-size tests/notebooks/test_learning.py
"""

import re

import pytest


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_network_of_lesson_3_visibly_learns(run_lesson, project_root):
    """The validation IoU at least doubles, and passes 0.3; it takes a few minutes on two idle cores."""
    result = run_lesson(project_root / "notebooks" / "03_training.ipynb", mocked=False, timeout=3000)
    assert result.error is None, result.error.trace
    said = "\n".join(o.text for cell in result.nb.cells for o in cell.get("outputs", ()) if o.get("name") == "stdout")
    found = re.search(r"validation IoU: ([\d.]+) after the first epoch, ([\d.]+) at best", said)
    first, best = map(float, found.groups())
    assert best >= 2 * first
    assert best > 0.3
