"""The package as others install it: a wheel and a source distribution, made here and used outside the clone."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import numpy as np
import pytest
import rasterio
from packaging.metadata import Metadata

import jointnet
from jointnet.data.raster import write_raster
from jointnet.network.card import PUBLISHED, published_weights
from tests.data.known_grid import grid_of

pytest.importorskip("build", reason="build, of the extra 'dev', is not installed")
pytestmark = pytest.mark.timeout(300)


def run(*command, cwd):
    """What a program said; it is given none of this clone's paths."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(project_root, tmp_path_factory):
    """(wheel, source distribution), the wheel made from the source distribution."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, project_root, cwd=out)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder of programs of an environment that has the wheel, and sees the other packages of this one."""
    place = tmp_path_factory.mktemp("elsewhere") / "env"
    venv.create(place, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (place / "lib" / version / "site-packages" / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", built[0], cwd=place)
    return python.parent


def test_both_distributions_hold_the_weights_and_all_that_lies_beside_them(built):
    wheel, source = built
    mine = {p.relative_to(PUBLISHED).as_posix(): p.stat().st_size for p in PUBLISHED.rglob("*") if p.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        inside = {i.filename: i.file_size for i in archive.infolist()}
    assert {n.removeprefix("jointnet/weights/"): s for n, s in inside.items() if "/weights/" in n} == mine
    with tarfile.open(source) as archive:
        sizes = {m.name.partition("/")[2]: m.size for m in archive.getmembers()}
    assert {n.removeprefix("data/weights/"): s for n, s in sizes.items() if n.startswith("data/weights/")} == mine
    assert {"README.md", "LICENSE", "pyproject.toml"} <= set(sizes)


def test_the_wheel_holds_every_file_of_the_package_and_none_of_the_tests(built, project_root):
    with zipfile.ZipFile(built[0]) as archive:
        inside = {n for n in archive.namelist() if n.split("/")[0] == "jointnet" and "/weights/" not in n}
        others = {n.split("/")[0] for n in archive.namelist()} - {"jointnet"}
    files = (p for p in (project_root / "jointnet").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert inside == {p.relative_to(project_root).as_posix() for p in files}
    assert others == {f"jointnet-{jointnet.__version__}.dist-info"}


def test_the_metadata_is_whole_and_its_readme_is_markdown(built, project_root):
    with zipfile.ZipFile(built[0]) as archive:
        raw = archive.read(f"jointnet-{jointnet.__version__}.dist-info/METADATA")
    metadata = Metadata.from_email(raw, validate=True)
    assert metadata.description_content_type.startswith("text/markdown")
    assert metadata.description.strip() == (project_root / "README.md").read_text().strip()
    assert metadata.license_expression == "MIT"


def test_an_installed_package_lists_its_weights_and_predicts_with_them(installed, tmp_path):
    """Outside the clone: the package is the one that was installed, and its weights are beside it."""
    where = run(installed / "python", "-c", "import jointnet; print(jointnet.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))
    lines = run(installed / "jointnet", "weights", cwd=tmp_path).splitlines()
    assert sorted(line.split()[0] for line in lines) == published_weights()
    pixels = np.random.default_rng(0).integers(1, 255, (64, 72, 3), np.uint8)
    write_raster(tmp_path / "tile.tif", pixels, grid_of(64, 72, pixel=0.3))
    run(installed / "jointnet", "predict", "tile.tif", "-w", "sample-buildings", "-o", "out", "--no-polygons",
        cwd=tmp_path)
    with rasterio.open(tmp_path / "out" / "tile_mask.tif") as mask:
        assert mask.shape == (64, 72)
        assert mask.crs.to_epsg() == 32633
