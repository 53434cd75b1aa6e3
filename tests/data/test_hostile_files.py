"""Images and labels that would have GDAL read another file, ask another computer, or wait for ever."""

import http.server
import json
import os
import threading
import zipfile

import numpy as np
import pytest
import rasterio
from PIL import Image

from jointnet.data.catalogue import open_dataset
from jointnet.data.raster import Grid, RasterError, read_info, read_raster, write_raster
from jointnet.data.vectors import LabelError, read_features

GRID = Grid(64, 64, 3, "uint8", rasterio.CRS.from_epsg(32633), rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6))
PIXELS = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)


@pytest.fixture
def asked():
    """(address of a server on this machine, what it was asked for)."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()


def vrt(source: str) -> str:
    file = f'<SourceFilename relativeToVRT="0">{source}</SourceFilename>'
    bands = "".join(f'<VRTRasterBand dataType="Byte" band="{b}"><SimpleSource>{file}<SourceBand>{b}</SourceBand>'
                    "</SimpleSource></VRTRasterBand>" for b in (1, 2, 3))
    return f'<VRTDataset rasterXSize="64" rasterYSize="64">{bands}</VRTDataset>'


def wms(address: str) -> str:
    service = f'<Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>'
    return (f"<GDAL_WMS>{service}<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>0</UpperLeftY>"
            "<LowerRightX>1</LowerRightX><LowerRightY>-1</LowerRightY><SizeX>64</SizeX><SizeY>64</SizeY></DataWindow><BandsCount>3</BandsCount></GDAL_WMS>")


@pytest.mark.parametrize("ending", ["tif", "tiff", "png", "jpg", "jp2", "img", "dat", "xml", "TIF", "asc", "bil"])
@pytest.mark.parametrize("describe", [vrt, wms, lambda address: f"\n  {vrt(address)}", lambda a: f"WMS:{a}"])
def test_a_description_under_the_name_of_an_image_is_refused_and_asks_nobody(tmp_path, asked, ending, describe):
    address, requests = asked
    (tmp_path / f"a.{ending}").write_text(describe(f"{address}/b.tif"))
    with pytest.raises(RasterError, match="not an image that GDAL can read"):
        read_raster(tmp_path / f"a.{ending}")
    assert requests == []


def test_a_vrt_that_the_user_named_is_read_and_a_folder_of_them_holds_no_images(tmp_path):
    write_raster(tmp_path / "a.tif", PIXELS, GRID)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.vrt").write_text(vrt(str(tmp_path / "a.tif")))
    assert np.array_equal(read_raster(tmp_path / "folder" / "b.vrt"), PIXELS)
    with pytest.raises(FileNotFoundError, match="holds no images"):
        open_dataset("folder", root=tmp_path / "folder")


@pytest.mark.parametrize("ending", ["msk", "ovr"])
def test_a_description_beside_an_image_is_refused(tmp_path, asked, ending):
    address, requests = asked
    write_raster(tmp_path / "a.tif", PIXELS, GRID)
    (tmp_path / f"a.tif.{ending}").write_text(vrt(f"{address}/b.tif"))
    with pytest.raises(RasterError, match=f"a.tif.{ending} is not the TIFF that GDAL keeps there; remove it"):
        read_info(tmp_path / "a.tif")
    assert requests == []


@pytest.mark.parametrize("where", ["inside", "beside"])
def test_overviews_and_places_from_another_file_are_refused(tmp_path, asked, where):
    address, requests = asked
    write_raster(tmp_path / "a.tif", PIXELS, GRID)
    if where == "inside":
        with rasterio.open(tmp_path / "a.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
            raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{address}/b.tif")
    else:
        (tmp_path / "a.tif.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/{address}/b.tif</MDI>'
            "</Metadata></PAMDataset>")
    with pytest.raises(RasterError, match="names another file in its metadata"):
        read_info(tmp_path / "a.tif")
    assert requests == []


def test_an_image_under_another_images_ending_is_read_as_what_it_is(tmp_path):
    write_raster(tmp_path / "a.tif", PIXELS, GRID)
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    assert np.array_equal(read_raster(tmp_path / "a.png"), PIXELS)


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "a.geojson")
    (tmp_path / "zero.tif").symlink_to("/dev/zero")
    for name in ("a.tif", "zero.tif"):
        with pytest.raises(RasterError, match="is a pipe or a device"):
            read_info(tmp_path / name)
    with pytest.raises(LabelError, match="is a pipe or a device"):
        read_features(tmp_path / "a.geojson", GRID)


def test_a_damaged_jpeg_is_an_error_and_no_grey_patch(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)).save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = b"\xff\xd9" * 2000  # ends of an image, in its middle
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(RasterError, match="damaged or cut short"):
        read_raster(tmp_path / "a.jpg")


@pytest.mark.parametrize("ending", ["geojson", "json", "gpkg", "shp", "kml", "gml", "fgb"])
def test_a_description_under_the_name_of_labels_is_refused(tmp_path, asked, ending):
    address, requests = asked
    (tmp_path / f"a.{ending}").write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="b"><SrcDataSource>/vsicurl/{address}/b.geojson</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>")
    with pytest.raises(LabelError, match=r"describes other files|not a vector file"):
        read_features(tmp_path / f"a.{ending}", GRID)
    assert requests == []


def square(**members):
    """GeoJSON of one square, with other members behind it."""
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    feature = {"type": "Feature", "properties": {"crs": "none"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    return json.dumps({"type": "FeatureCollection", "features": [feature], **members})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("write", [
    lambda url: square(crs={"type": "link", "properties": {"href": url}}),
    lambda url: square(crs={"type": "URL", "properties": {"url": url}}),
    lambda url: square(crs={"properties": {"href": url}, "type": "link"}).replace('"crs": {', r'"\u0063RS" : {'),
    lambda url: square(crs={"type": "name", "properties": {"name": "EPSG:999999"}}),
    lambda url: f'<!--{"x" * 5000}--><OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{url}/a.geojson'
                "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
], ids=["link", "url", "escaped", "unknown", "far down"])
def test_labels_whose_crs_is_elsewhere_are_refused_and_ask_nobody(tmp_path, asked, write, packed):
    """GDAL would fetch the CRS of GeoJSON, and take labels for degrees where it gets none."""
    address, requests = asked
    path = tmp_path / "a.geojson"
    path.write_text(write(address))
    if packed:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "a.geojson")
        path = tmp_path / "a.zip"
    with pytest.raises(LabelError, match="describes other files|names a CRS that is not known here"):
        read_features(path, GRID)
    assert requests == []


@pytest.mark.parametrize("name", ["EPSG:32633", "urn:ogc:def:crs:EPSG::32633",
                                  "http://www.opengis.net/def/crs/EPSG/0/32633"])
def test_a_crs_that_is_named_by_its_code_is_known(tmp_path, name):
    (tmp_path / "a.geojson").write_text(square(crs={"type": "name", "properties": {"name": name}}))
    assert read_features(tmp_path / "a.geojson", GRID).crs.to_epsg() == 32633


def test_labels_in_an_archive_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("jointnet.data.layers.UNPACKED", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.geojson", " " * 1001)
    with pytest.raises(LabelError, match="unpacks to more than"):
        read_features(tmp_path / "a.zip", GRID)


def test_an_image_whose_companion_has_a_crs_fetched_is_refused(tmp_path, asked):
    address, requests = asked
    write_raster(tmp_path / "a.tif", PIXELS, GRID)
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset><SRS>{address}/srs</SRS></PAMDataset>")
    with pytest.raises(RasterError, match="its CRS cannot be read"):
        read_info(tmp_path / "a.tif")
    assert requests == []
