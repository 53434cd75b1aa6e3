"""Figures of scenes, scores and the method; every function returns the matplotlib Figure.

The figure is closed for pyplot, so that a notebook shows it once: where it is the value of a cell.
"""

from jointnet.lazy import loaded_when_used

_HOME = {
    "show_errors": "scenes", "show_outlines": "scenes", "show_overlay": "scenes", "show_patches": "scenes",
    "show_scene": "scenes", "show_side_by_side": "scenes",
    "show_gap": "scores", "show_history": "scores", "show_pr_curve": "scores", "show_reliability": "scores",
    "show_scores": "scores", "show_sweep": "scores",
    "show_architecture": "methods", "show_blending_weights": "methods", "show_curves": "methods",
    "show_grids": "methods",
}
__all__ = sorted(_HOME)
__getattr__, __dir__ = loaded_when_used(__name__, _HOME)
