"""The way the data goes, and one door to each heavy library: imports are read from the source, nothing is run."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jointnet

PACKAGE = Path(jointnet.__file__).parent
ORDER = ["errors", "lazy", "options", "backend", "files", "progress", "data", "network", "predict", "evaluate", "show",
         "terminal", "teach", "cli"]
FREE_OF_OURS = {"network.model", "network.losses", "network.metrics"}
DOORS = {
    "rasterio": {"data.raster", "data.image_files", "data.image_grid", "data.palettes", "data.raster_writer",
                 "data.web_mercator"},
    "leafmap": {"show.scene_map"},
    "ipyleaflet": {"show.scene_map", "show.map_panel", "show.cities", "show.places"},
    "matplotlib": {f"show.figures.{part}" for part in ("drawing", "methods", "scenes", "scores")},
    "jinja2": {"show.pages"},
    "dask": {"predict.many"},
    "distributed": {"predict.many"},
    "tensorflow": {"network.training", "predict.convert", "predict.engines", "predict.export"},
    "openvino": {"predict.compiled", "predict.convert", "predict.engines", "predict.export", "predict.graphs"},
}
# Outside the network, Keras is loaded inside functions, when a network is run; batches alone are a class of it.
LOADS_KERAS = {"backend", "data.patches"}
ASKS_FOR_KERAS = {"predict.engines", "predict.export", "show.widgets.network", "show.widgets.training"}
WITHOUT_KERAS = {"network", "network.card"}  # a card is read and checked in milliseconds
FORMAT = {"LEVELS", "NODATA", "OURS", "to_values", "RUN", "SETTINGS", "VALUES"}  # of predict.rasters
KNOWS_LEVELS = {"evaluate.thresholds", "evaluate.calibration"}  # histograms of one bin for each stored level
# These parts of rasterio open no file, and modules whose names begin so may use them.
GEOMETRY = ("rasterio.features.", "rasterio.warp.", "rasterio.transform.", "rasterio.crs.", "rasterio.errors.")
GEOMETERS = ("data.", "predict.vectors.polygons")


def module_name(path: Path) -> str:
    """`network.model` for jointnet/network/model.py, `data` for jointnet/data/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, is_package: bool = False) -> set[str]:
    """Full names of the modules and names that a file imports anywhere, also inside functions and relatively."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = ["jointnet", *module.split(".")]
            up = here[: len(here) - node.level + is_package] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


MODULES = {module_name(p): p for p in sorted(PACKAGE.rglob("*.py")) if module_name(p) not in ("", "__main__")}
IMPORTS = {m: imported(p.read_text(), m, p.name == "__init__.py") for m, p in MODULES.items()}


def test_imports_are_found_in_each_form():
    source = "import rasterio.features as f\nfrom ..data import raster\ndef g():\n    from dask import delayed"
    assert imported(source, "show.maps") == {"rasterio.features", "jointnet.data.raster", "dask.delayed"}
    assert imported("from .inner import x", "show.widgets", is_package=True) == {"jointnet.show.widgets.inner.x"}


@pytest.mark.parametrize("module", MODULES)
def test_a_folder_imports_only_from_folders_before_it(module):
    mine = module.split(".")[0]
    assert mine in ORDER, f"jointnet/{mine} is not in the order {ORDER}"
    theirs = {name.split(".")[1] for name in IMPORTS[module] if name.startswith("jointnet.")} & set(ORDER)
    assert {t for t in theirs if ORDER.index(t) > ORDER.index(mine)} == set()


@pytest.mark.parametrize("module", sorted(FREE_OF_OURS & set(MODULES)))
def test_the_network_itself_imports_nothing_of_ours_but_errors(module):
    ours = {name for name in IMPORTS[module] if name.split(".")[0] == "jointnet"}
    assert {name for name in ours if not name.startswith("jointnet.errors.")} == set()


def test_the_package_reaches_its_own_modules_only_through_its_full_names():
    """`from jointnet import predict_scene` inside the package would hide a direction from the test above."""
    verbs = {f"jointnet.{verb}" for verb in jointnet.__all__}
    assert {m: names & verbs for m, names in IMPORTS.items() if names & verbs} == {}


@pytest.mark.parametrize("library", DOORS)
def test_each_heavy_library_has_one_door(library):
    users = set()
    for module, names in IMPORTS.items():
        theirs = {n for n in names if n.split(".")[0] == library}
        if module.startswith(GEOMETERS):
            theirs = {n for n in theirs if not n.startswith(GEOMETRY)}
        users |= {module} if theirs else set()
    assert users <= DOORS[library]


def test_only_one_module_renames_files():
    """What appears under a name is complete: nothing else may put a file there."""
    assert {m for m, p in MODULES.items() if renames(p.read_text())} == {"files"}


def renames(source: str) -> bool:
    """Whether a file calls os.replace and its like, or `rename` or `replace` of a path, which take one argument."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    named = {ast.unparse(n.func) for n in calls} & {"os.replace", "os.rename", "os.renames", "shutil.move"}
    paths = [n for n in calls if n.func.attr in ("rename", "replace") and len(n.args) == 1 and not n.keywords]
    return bool(named or paths)


def test_renaming_is_found_in_each_form():
    assert all(map(renames, ["os.replace(a, b)", "shutil.move(a, b)", "draft.rename(path)", "draft.replace(path)"]))
    assert not any(map(renames, ["text.replace('a', 'b')", "table.rename(columns=names)", "replace(card, name='x')"]))


def is_keras(name: str) -> bool:
    return name.split(".")[0] == "keras" or name == "jointnet.backend.keras"


@pytest.mark.parametrize("module", MODULES)
def test_keras_is_loaded_by_the_network_alone_and_elsewhere_when_it_is_needed(module):
    in_network = module.startswith("network") and module not in WITHOUT_KERAS
    body = ast.parse(MODULES[module].read_text()).body
    top = "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))
    if any(map(is_keras, imported(top, module))):
        assert in_network or module in LOADS_KERAS
    if any(map(is_keras, IMPORTS[module])) and module not in WITHOUT_KERAS:  # a card names its type
        assert in_network or module in LOADS_KERAS | ASKS_FOR_KERAS


@pytest.mark.parametrize("module", MODULES)
def test_one_module_knows_the_format_of_a_prediction_raster(module):
    if module == "predict.rasters":
        return
    words = [n.value for n in ast.walk(ast.parse(MODULES[module].read_text()))
             if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert [w for w in words if w.startswith(("JOINTNET_RUN", "JOINTNET_SETTINGS", "JOINTNET_VALUES"))] == []
    known = {n.rpartition(".")[2] for n in IMPORTS[module] if n.startswith("jointnet.predict.rasters.")} & FORMAT
    allowed = {"LEVELS"} if module in KNOWS_LEVELS else {"to_values"} if module == "predict.scenes" else set()
    assert known <= allowed


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("evaluate")])
def test_scores_are_had_from_rasters_and_not_from_the_prediction_of_scenes(module):
    assert {n for n in IMPORTS[module] if n.startswith("jointnet.predict.scenes")} == set()


@pytest.mark.parametrize("module", MODULES)
def test_errors_that_a_user_can_mend_are_ours(module):
    """So the command line can tell them from mistakes of the package. A fault of a disk or a file is an OSError."""
    raised = [n.exc for n in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(n, ast.Raise) and n.exc]
    names = {ast.unparse(exc.func if isinstance(exc, ast.Call) else exc) for exc in raised}
    assert names & {"Exception", "ValueError", "KeyError", "IndexError", "RuntimeError", "ImportError"} == set()


def test_every_error_of_the_package_is_a_jointnet_error():
    bases = {node.name: {ast.unparse(base) for base in node.bases} for path in MODULES.values()
             for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)}
    ours = {"JointNetError"}
    for _ in bases:  # a class is ours if one of its bases is
        ours |= {name for name, above in bases.items() if above & ours}
    assert {name for name in bases if name.endswith("Error")} - {"Error"} <= ours  # an `Error` is one of a prediction


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("network.")])
def test_tensorflow_is_imported_inside_functions_only(module):
    """The network runs on each Keras backend, so nothing of TensorFlow may be needed to import it."""
    body = ast.parse(MODULES[module].read_text()).body
    top = "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))
    assert {n for n in imported(top, module) if n.split(".")[0] == "tensorflow"} == set()


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=PACKAGE.parent
    ).stdout


HEAVY = "tensorflow keras numpy rasterio leafmap matplotlib dask geopandas scipy typer"


@pytest.mark.parametrize("name", ["jointnet", "jointnet.data", "jointnet.predict"])
def test_importing_the_package_loads_nothing_heavy(name):
    loaded = run_python(f"import {name}, sys; print(sorted(set('{HEAVY}'.split()) & set(sys.modules)))")
    assert loaded.strip() == "[]"


def test_importing_the_package_takes_less_than_three_tenths_of_a_second():
    clock = "import time; t = time.perf_counter(); import jointnet; print(time.perf_counter() - t)"
    best = min(float(run_python(clock)) for _ in range(3))  # other programs slow a run down, never speed it up
    assert best < 0.3


def test_the_command_line_starts_without_the_heavy_libraries():
    loaded = run_python(
        f"import jointnet.cli, sys; print(sorted(set('{HEAVY}'.split()) & set(sys.modules) - {{'typer'}}))"
    )
    assert loaded.strip() == "[]"


def test_an_array_is_predicted_where_no_library_opens_files_or_learns():
    """As on a machine with a graphics card and little else; the network runs on what there is."""
    pytest.importorskip("jointnet.predict.runtime")
    told = run_python("""
import sys
import numpy as np
for name in ("rasterio", "pyogrio", "pyproj", "shapely", "geopandas", "tensorflow", "platformdirs"):
    sys.modules[name] = None  # importing it is an error
from jointnet import predict_array
print(predict_array("sample-buildings", np.zeros((64, 64, 3), np.uint8)).shape, "keras" in sys.modules)
""")
    assert told.strip() == "(64, 64, 1) False"


def test_every_public_verb_is_where_the_package_says():
    for verb, home in jointnet._HOME.items():
        defined = ast.parse(MODULES[home.removeprefix("jointnet.")].read_text()).body
        names = {getattr(n, "name", None) for n in defined}
        names |= {alias.asname or alias.name for n in defined if isinstance(n, ast.ImportFrom) for alias in n.names}
        assert verb in names, f"jointnet.{verb} should be in {home}"


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'predct_scene'"):
        _ = jointnet.predct_scene


def test_html_is_made_of_templates_and_by_one_helper_that_escapes():
    """No f-string of `show` holds a tag, and what ipyleaflet takes for HTML comes from `fragment`."""
    for name, path in MODULES.items():
        if not name.startswith("show"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
                assert not re.search(r"<[a-z/]", parts), (name, node.lineno)
            if isinstance(node, ast.keyword) and node.arg == "attribution":
                assert ast.unparse(node.value).startswith(("''", "fragment(")), (name, node.value.lineno)
    assert [m for m, names in IMPORTS.items() if "ipywidgets.HTML" in names] == ["show.scene_map"]
    assert [m for m, names in IMPORTS.items() if m.startswith("show") and "html.escape" in names] == ["show.pages"]
