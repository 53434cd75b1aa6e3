"""NetworkExplorer in a real browser: its field is NumPy's, its maps are the layer's."""

import numpy as np
import pytest

from jointnet.network.receptive_field import count_paths
from jointnet.show.widgets import NetworkExplorer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("rates", "dense"), [((1, 2, 5, 1, 2, 5), False), ((2, 2, 2), False), ((2, 3), True)])
def test_the_field_is_the_one_that_numpy_counts(open_page, rates, dense):
    explorer = NetworkExplorer(rates=rates)
    explorer.dense = dense
    watched = open_page(explorer)
    paths = count_paths(rates, dense)
    assert watched.page.get_attribute(".jn-network", "data-field") == f"{len(paths)},{(paths == 0).sum()}"
    pixels = watched.canvas(".jn-field-map")
    assert np.array_equal((pixels[..., :3] == 255).all(-1), paths == 0)
    ramp = explorer.about["ramp"]
    middle = "#" + bytes(pixels[len(paths) // 2, len(paths) // 2, :3].tolist()).hex()
    assert middle == ramp[255] or paths.max() != paths[len(paths) // 2, len(paths) // 2]


def test_rates_are_typed_and_nonsense_is_answered(open_page):
    watched = open_page(NetworkExplorer(), width=900)
    watched.shot("network_alone_900")
    left, right = (half.bounding_box() for half in watched.page.locator(".jn-half").all())
    field = watched.page.locator(".jn-field-map").bounding_box()
    assert left["x"] + left["width"] <= field["x"]  # the words at the left, the field at the right
    assert field["x"] + field["width"] <= right["x"] + right["width"]
    box = watched.page.get_by_label("dilation rates", exact=True)
    box.fill("5 5 5")
    box.press("Enter")
    # 31 px a side, every fifth is reached: 7 x 7 of 961 without the ways around
    watched.page.get_by_label("joined as in the block", exact=True).uncheck()
    assert watched.page.get_attribute(".jn-network", "data-field") == f"31,{31 * 31 - 49}"
    box.fill("0, x")
    box.press("Enter")
    assert watched.page.locator(".jn-wrong").is_visible()
    assert watched.get("rates") == [5, 5, 5]


def test_feature_maps_are_the_layers_output(open_page, scene):
    keras = pytest.importorskip("jointnet.backend", reason="needs the network").keras
    image = keras.Input((None, None, 3))
    out = keras.layers.Conv2D(9, 1, name="atrous")(image)
    model = keras.Model(image, out)
    layer = model.get_layer("atrous")
    mute = np.arange(9) < 2  # two channels that answer to nothing
    layer.set_weights([np.where(mute, 0, layer.get_weights()[0]), layer.get_weights()[1]])
    explorer = NetworkExplorer(model, scene.read((0, 0, 64, 80)), note="drawn scene, not a photograph")
    watched = open_page(explorer)
    assert watched.get("channel") not in (0, 1)  # what is shown large at first answers to something
    kernel, bias = layer.get_weights()
    expected = scene.read((0, 0, 64, 80)).astype(float) @ kernel[0, 0] + bias
    found = watched.canvas(".jn-maps figure:nth-child(4) canvas")
    assert found.shape[:2] == (64, 80)
    values = expected[..., 3]
    levels = np.round(255 * (values - values.min()) / (values.max() - values.min())).astype(int)
    ramp = np.array([list(bytes.fromhex(c[1:])) for c in explorer.about["ramp"]])
    assert np.abs(found[..., :3].astype(int) - ramp[levels]).max() <= 3
    assert "9 channels of 64 × 80 pixels. 2 of them are the same in 99" in watched.page.inner_text(".jn-facts")

    # a channel is enlarged by a click, by Enter, and as the arrows move on; the page behind hears of no arrow
    page = watched.page
    page.evaluate("window.heard = 0; document.addEventListener('keydown', () => { window.heard += 1; });")
    page.get_by_role("button", name="channel 3", exact=True).click()
    assert np.array_equal(watched.canvas(".jn-large canvas"), found)
    page.keyboard.press("ArrowDown")  # eight in a row: there is no channel 11
    page.keyboard.press("ArrowUp")
    page.keyboard.press("End")
    assert watched.get("channel") == 8
    page.keyboard.press("ArrowUp")
    assert watched.get("channel") == 0
    assert page.evaluate("[document.activeElement.title.split(':')[0], window.heard]") == ["channel 0", 0]
    assert page.inner_text(".jn-large figcaption").startswith("channel 0: ")
    page.get_by_role("button", name="channel 5", exact=True).press("Enter")
    assert watched.get("channel") == 5
    watched.shot("network_1280")
    with pytest.raises(ValueError, match="no layer 'nope'"):
        NetworkExplorer(model, scene.read(), layer="nope")


def test_enter_takes_the_rates_even_where_the_page_ends_no_input_on_it(open_page):
    """In a notebook Enter reaches the input as a key and never as a change; so the key is sent alone."""
    watched = open_page(NetworkExplorer(rates=(1, 2, 5)))
    entry = watched.page.get_by_label("dilation rates")
    entry.evaluate("e => { e.value = '1 3 5'; e.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'})); }")
    assert watched.get("rates") == [1, 3, 5]
