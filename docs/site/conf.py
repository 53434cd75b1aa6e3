"""How Sphinx writes the site; `build.py` calls it. Nothing on a page is fetched from anywhere."""

import datetime
import os
import subprocess
from importlib.metadata import version as version_of
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

project = "JointNet"
author = "the JointNet developers"
version = release = version_of("jointnet")
describe = ["git", "describe", "--always", "--exclude=*", "--dirty= with changes"]
found = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
html_last_updated_fmt = f"{datetime.date.today():%Y-%m-%d}, version {version}" + (
    f", commit {found.stdout.strip()}" if found.returncode == 0 else "")
copyright = "see LICENSE"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 3

nb_execution_mode = "off"  # build.py has run the lessons
nb_ipywidgets_js = {}  # no widget manager from a foreign host: explorers are frames, maps are pictures
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

napoleon_custom_sections = [("Options", "params_style"), ("Warns", "params_style")]
default_role = "py:obj"  # names in single backticks
autodoc_typehints = "none"  # the docstrings give types, shapes and units
autodoc_member_order = "bysource"

html_theme = "pydata_sphinx_theme"
html_title = f"JointNet {version}"
html_static_path = ["static", str(files("jupyter_server_mathjax") / "static")]
html_extra_path = [os.environ["JOINTNET_LIVE"]] if "JOINTNET_LIVE" in os.environ else []
html_css_files = ["site.css"]
html_js_files = ["live.js"]
LONE = ("index", "reference", "docs/*", "data/*", "recipes/*", "CONTRIBUTING", "CHANGELOG", "search", "genindex")
html_sidebars = {page: [] for page in LONE}  # the menu beside a page lists lessons, where the page is one of them
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_theme_options = {
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["last-updated"],
    "footer_end": [],
}
mathjax_path = "MathJax.js?config=TeX-AMS-MML_HTMLorMML-full"
mathjax2_config = {
    "tex2jax": {"inlineMath": [["\\(", "\\)"]], "processClass": "math", "ignoreClass": "document"},
    "HTML-CSS": {"availableFonts": [], "preferredFont": None, "webFont": "STIX-Web", "imageFont": None},
    "showMathMenu": False,
    "messageStyle": "none",
}
myst_update_mathjax = False
