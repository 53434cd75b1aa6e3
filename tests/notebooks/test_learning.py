"""What lesson 3 promises: its recorded run, repeated at full length.

    pytest --full-size tests/notebooks/test_learning.py
"""

import re

import nbformat
import pytest


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_network_of_lesson_3_visibly_learns(run_lesson, project_root, tmp_path):
    """The validation IoU at least doubles, and passes 0.3; it takes several minutes on two idle cores."""
    notebook = nbformat.read(project_root / "notebooks" / "03_training.ipynb", 4)
    (settings,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    settings.source = re.sub(r"^epochs = 3 ", "epochs = None ", settings.source, flags=re.MULTILINE)
    assert "epochs = None " in settings.source
    nbformat.write(notebook, tmp_path / "03_training.ipynb")
    result = run_lesson(tmp_path / "03_training.ipynb", mocked=False, timeout=3000)
    assert result.error is None, result.error.trace
    said = "\n".join(o.text for cell in result.nb.cells for o in cell.get("outputs", ()) if o.get("name") == "stdout")
    found = [float(value) for value in re.findall(r"- val_iou: ([\d.]+)", said)]  # of your own run, then the over-fit
    recorded = int(re.search(r"best epoch: \d+ of (\d+)", said)[1])
    first, best = found[0], max(found[:recorded])
    assert best >= 2 * first
    assert best > 0.3
