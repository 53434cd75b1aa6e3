"""Drawn scenes: names in, georeferenced images with exact labels out. The offline data set; none is a photograph."""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

from jointnet.data.drawing.cities import CITIES, UNSEEN
from jointnet.data.drawing.paint import paint
from jointnet.data.drawing.plan import Plan
from jointnet.data.drawing.towns import plan_town
from jointnet.data.labels import rasterize_lines, rasterize_polygons
from jointnet.data.raster import Grid, read_info, write_raster
from jointnet.errors import InputError
from jointnet.files import put_in_place, written_whole

TRAINING_CITIES = ("austin", "chicago", "kitsap", "tyrol-w", "vienna")
SAMPLE = {
    "train": tuple(f"{city}{tile}" for city in TRAINING_CITIES for tile in (1, 6)),
    "test": ("bellingham15", "bloomington17", "innsbruck21", "sfo36", "tyrol-e35"),
}
PLACES = CITIES | UNSEEN
SIZE, GSD = 1024, 0.3  # pixels, metres
EDITION = "1"  # raise it when the drawing changes: samples of another edition are drawn again
SOURCE = "drawn by jointnet, not a photograph"
DIGITS = 9  # decimals of longitude and latitude: a tenth of a millimetre


@dataclass(frozen=True)
class DrawnScene:
    """A drawn image and the truth about it.

    Attributes:
        name: city and tile, as "austin1".
        image: uint8 (height, width, 3).
        buildings: uint8 {0, 1} (height, width), rasterised from `footprints`.
        roads: uint8 {0, 1} (height, width), rasterised from `centre_lines`.
        footprints: polygons in WGS 84, with `kind`, `shape`, `roof`, `storeys` and `area_m2`.
        centre_lines: lines in WGS 84, with `kind` and `width_m`.
        grid: place and size of the image.
        seed: what it was drawn from.
    """

    name: str
    image: np.ndarray
    buildings: np.ndarray
    roads: np.ndarray
    footprints: gpd.GeoDataFrame
    centre_lines: gpd.GeoDataFrame
    grid: Grid
    seed: int


def draw_sample(root: Path, seed: int = 0, progress: Callable[[str], None] | None = None) -> Path:
    """Draws those of the fifteen sample scenes that `root` lacks, or has from another seed or edition; returns `root`.

    Files are laid out as INRIA's are: `train/images/austin1.tif` with its masks in `gt` and `roads`, and the shapes
    behind them in `polygons` and `centre_lines`. A scene's image appears last, when all that belongs to it is there.

    Args:
        root: folder, made if needed.
        seed: another seed draws other towns.
        progress: called with a scene's name before it is drawn.
    """
    root = Path(root)
    for split, names in SAMPLE.items():
        for name in names:
            if not _is_drawn(scene_files(root / split, name), seed):
                if progress:
                    progress(name)
                save_scene(draw_scene(name, seed=seed), root / split)
    readme, text = root / "README.txt", _README.format(seed=seed, edition=EDITION)
    if not readme.exists() or readme.read_text(encoding="utf-8") != text:
        with written_whole(readme) as draft:
            draft.write_text(text, encoding="utf-8")
    return root


def seed_of(root: Path) -> int:
    """The seed that the scenes in `root` were drawn from; 0 where there are none."""
    files = (scene_files(Path(root) / split, name)["images"] for split, names in SAMPLE.items() for name in names)
    image = next((f for f in files if f.exists()), None)
    return int((read_info(image).tags or {}).get("JOINTNET_SEED", 0)) if image else 0


def draw_scene(name: str, size: int = SIZE, gsd: float = GSD, seed: int = 0) -> DrawnScene:
    """One scene, the same for the same arguments.

    Args:
        name: one of the ten cities, or "yourtown" of a style that is in no data set, and a tile number from 1 to 36,
            as "vienna6".
        size: side in pixels.
        gsd: metres per pixel.
        seed: another seed draws another town.

    Raises:
        ValueError: if the city or the tile is unknown, or the scene is smaller than 64 px.
    """
    city, tile = _split_name(name)
    if size < 64 or not gsd > 0:
        raise InputError(f"a scene of {size} px at {gsd} m cannot be drawn; ask for 64 px or more at a gsd above 0")
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    plan = plan_town(PLACES[city], size * gsd, rng)
    grid = _grid(city, tile, size, gsd)
    footprints, lines = _footprints(plan, grid), _centre_lines(plan, grid)
    return DrawnScene(
        name, paint(plan, size), rasterize_polygons(footprints, grid, empty_ok=True),
        rasterize_lines(lines, grid, empty_ok=True), footprints, lines, grid, seed,
    )


def scene_files(folder: Path, name: str) -> dict[str, Path]:
    """Where the parts of a scene lie in a split's folder."""
    rasters = {part: folder / part / f"{name}.tif" for part in ("images", "gt", "roads")}
    return rasters | {part: folder / part / f"{name}.geojson" for part in ("polygons", "centre_lines")}


def save_scene(scene: DrawnScene, folder: Path) -> None:
    """Writes a scene's five files; they appear together, the image last.

    Raises:
        RasterError: if the folder cannot be written to; nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tags = {"JOINTNET_SOURCE": SOURCE, "JOINTNET_SCENE": scene.name, **_stamp(scene.seed)}
    files = scene_files(folder, scene.name)
    with tempfile.TemporaryDirectory(prefix=".drawing-", dir=folder) as aside:
        drafts = scene_files(Path(aside), scene.name)
        write_raster(drafts["images"], scene.image, scene.grid, tags=tags, photometric="RGB")
        write_raster(drafts["gt"], scene.buildings * np.uint8(255), scene.grid, tags=tags, overview="nearest")
        write_raster(drafts["roads"], scene.roads * np.uint8(255), scene.grid, tags=tags, overview="nearest")
        _write_geojson(drafts["polygons"], scene.footprints)
        _write_geojson(drafts["centre_lines"], scene.centre_lines)
        for part in ("gt", "roads", "polygons", "centre_lines", "images"):
            files[part].parent.mkdir(exist_ok=True)
            put_in_place(drafts[part], files[part])


def _stamp(seed: int) -> dict[str, str]:
    """The tags that tell drawings apart."""
    return {"JOINTNET_SEED": str(seed), "JOINTNET_EDITION": EDITION}


def _is_drawn(files: dict[str, Path], seed: int) -> bool:
    """Whether all files of a scene are there, drawn from this seed by this edition."""
    if not all(path.exists() for path in files.values()):
        return False
    tags = read_info(files["images"]).tags or {}
    return all(tags.get(name) == value for name, value in _stamp(seed).items())


def _split_name(name: str) -> tuple[str, int]:
    """The city and tile of a scene's name."""
    match = re.fullmatch(r"(.+?)(\d+)", name)
    if not match or match[1] not in PLACES or not 1 <= int(match[2]) <= 36:
        raise InputError(f"{name!r} is no scene; name a city and a tile from 1 to 36, as 'austin1'; the cities are "
                         f"{', '.join(PLACES)}")
    return match[1], int(match[2])


def _grid(city: str, tile: int, size: int, gsd: float) -> Grid:
    """The scene's place: tiles of a city lie on a 6 x 6 grid, 36 next to 31, as far apart as full scenes are wide."""
    crs = CRS.from_epsg(PLACES[city].epsg)
    x, y = Transformer.from_crs(4326, PLACES[city].epsg, always_xy=True).transform(PLACES[city].lon, PLACES[city].lat)
    step = SIZE * GSD
    west, north = round(x / 0.3) * 0.3 + (tile - 1) % 6 * step, round(y / 0.3) * 0.3 - (tile - 1) // 6 * step
    west, north = round(west, 1), round(north, 1)
    return Grid(size, size, 3, "uint8", crs, Affine(gsd, 0, west, 0, -gsd, north))


def _on_earth(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """Shapes in metres of the plan as WGS 84 longitude and latitude, rounded as the files hold them."""
    crs: CRS = grid.crs
    to_degrees = Transformer.from_crs(crs.to_epsg(), 4326, always_xy=True)

    def move(xy: np.ndarray) -> np.ndarray:
        x, y = grid.transform.c + xy[:, 0], grid.transform.f - xy[:, 1]
        return np.round(np.column_stack(to_degrees.transform(x, y)), DIGITS)

    return shapely.transform(shapes, move)


def _footprints(plan: Plan, grid: Grid) -> gpd.GeoDataFrame:
    """The buildings inside the scene, cut off at its edge."""
    frame = shapely.box(0, 0, plan.size, plan.size)
    rows, shapes = [], []
    for b in plan.buildings:
        for part in shapely.get_parts(b.footprint.intersection(frame)):
            if part.geom_type == "Polygon" and part.area >= 1:
                roof = "flat" if b.pitch == 0 else "hip" if not b.wings or b.wings[0].hip else "gable"
                storeys = max(1, round(b.eave / 3))
                rows.append((b.kind, b.shape, roof, storeys, round(part.area, 1)))
                shapes.append(part)
    names = ("kind", "shape", "roof", "storeys", "area_m2")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return gpd.GeoDataFrame(columns, geometry=_on_earth(np.array(shapes, object), grid), crs=4326)


def _centre_lines(plan: Plan, grid: Grid) -> gpd.GeoDataFrame:
    """The roads inside the scene, cut off at its edge."""
    frame = shapely.box(0, 0, plan.size, plan.size)
    found = [(r, part) for r in plan.roads for part in shapely.get_parts(r.line.intersection(frame))]
    found = [(r, part) for r, part in found if part.length > 0.5]
    columns = {"kind": [r.kind for r, _ in found], "width_m": [round(r.width, 2) for r, _ in found]}
    shapes = np.array([part for _, part in found], object)
    return gpd.GeoDataFrame(columns, geometry=_on_earth(shapes, grid), crs=4326)


def _write_geojson(path: Path, table: gpd.GeoDataFrame) -> None:
    """GeoJSON after RFC 7946, with as many digits as `_on_earth` leaves."""
    path.parent.mkdir(exist_ok=True)
    table.to_file(path, driver="GeoJSON", engine="pyogrio", RFC7946="YES", COORDINATE_PRECISION=str(DIGITS))


_README = """\
The scenes in this folder were drawn by the program jointnet (seed {seed}, edition {edition}); none is a photograph.

They carry the names and the split of tiles of the INRIA Aerial Image Labeling benchmark and lie where those cities lie,
but show no real street or building. Scores on them say nothing about real imagery.

images        drawn aerial images, 0.3 m a pixel, in the UTM zone of the place
gt            buildings, 255 where there is one
roads         roads, 255 where there is one
polygons      the buildings' footprints with attributes, WGS 84; gt is rasterised from them
centre_lines  the roads' centre lines with their width in metres, WGS 84; roads is rasterised from them
"""
