import subprocess
import sys
import threading
from functools import partial

import keras
import numpy as np
import pytest

from jointnet.network.card import Card, open_weights
from jointnet.network.digest import network_digest
from jointnet.network.model import build_jointnet
from jointnet.network.weights import load_model, save_model


def build(rates=(1, 2)):
    return build_jointnet("tiny", growth_rates=(4, 4, 4), dilation_rates=rates)


@pytest.mark.parametrize("half", [False, True])
def test_a_name_a_path_and_a_model_have_one_digest(tmp_path, half):
    model = build()
    card = Card(preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1, 2))
    path = save_model(model, tmp_path / "a.weights.h5", card, half=half)
    loaded = load_model(path)
    assert network_digest(loaded) == loaded.card.digest == open_weights(path).card.digest
    assert (network_digest(model) == loaded.card.digest) is not half  # half precision is another network


def test_other_weights_and_another_form_are_other_networks():
    model, other = build(), build((1, 3))
    other.set_weights(model.get_weights())
    first = network_digest(model)
    assert network_digest(other) != first
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] += 1e-6
    model.set_weights(weights)
    assert network_digest(model) != first


def test_a_network_of_ones_own_layers_has_a_digest_that_names_do_not_change():
    def own(dilation):
        keras.utils.set_random_seed(1)
        image = keras.Input((None, None, 3))
        layer = keras.layers.Conv2D(1, 3, padding="same", dilation_rate=dilation)
        return keras.Model(image, layer(image))

    assert network_digest(own(1)) == network_digest(own(1))  # conv2d_1 and conv2d_2
    assert network_digest(own(1)) != network_digest(own(2))


class Scaled:
    def __init__(self, weights):
        self.weights = weights

    def __call__(self, windows):
        return windows * self.weights


def scaled(factor):
    return lambda windows: windows * factor


def test_functions_are_told_apart_by_their_code_and_by_what_they_hold():
    same = [network_digest(f) for f in (scaled(1), scaled(1))]
    assert same[0] == same[1]
    functions = [scaled(1), scaled(2), lambda w: w, lambda w: w + 1, Scaled(np.ones(3)), Scaled(np.zeros(3)),
                 partial(np.multiply, 2), partial(np.multiply, 3)]
    assert len({network_digest(f) for f in functions}) == len(functions)
    assert network_digest(Scaled(np.ones(3))) == network_digest(Scaled(np.ones(3)))


def test_what_cannot_be_taken_apart_is_like_nothing_else_but_itself():
    sessions = [scaled(threading.Lock()) for _ in range(2)]  # a lock cannot be pickled
    digests = [network_digest(f) for f in sessions]
    assert digests[0] != digests[1]
    assert digests == [network_digest(f) for f in sessions]


def test_a_network_may_say_its_digest_itself():
    network = scaled(1)
    network.digest = "mine"
    assert network_digest(network) == "mine"


def test_a_function_has_the_same_digest_in_every_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nW = np.arange(3)\nNAMES = {'a', 'b', 'c', 'd'}\n"
        "def net(w):\n    return w * W if 'a' in {'a', 'b', 'c', 'd'} else helper(w)\n"
        "def helper(w):\n    return net(w)\n", encoding="utf-8")
    code = "import mine; from jointnet.network.digest import network_digest; print(network_digest(mine.net))"
    told = {subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                           check=True).stdout for _ in range(3)}
    assert len(told) == 1
