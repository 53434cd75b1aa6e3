"""Graphs with less copying: the same answers, without what was copied."""

import numpy as np
import pytest

from jointnet.network.card import open_weights
from jointnet.predict.compiled import read_compiled
from jointnet.predict.graphs import without_copies

runtime = pytest.importorskip("jointnet.predict.runtime")
SIZE = 64


def nodes(graph, type_name, height):
    """Nodes of a type that feed a convolution and have rows in number, of those that are left."""
    convolutions = [n for n in graph.get_ordered_ops() if n.get_type_name() == "Convolution"]
    feeding = [n.input_value(0).get_node() for n in convolutions]
    return [n for n in feeding if n.get_type_name() == type_name and n.output(0).get_shape()[2] == height]


def answer(graph, windows):
    return runtime.CORE.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(windows)[0]


@pytest.mark.parametrize("name", ["buildings-small", "roads-by-dice"])
def test_a_network_without_copies_answers_as_before(name):
    weights, windows = open_weights(name), np.random.default_rng(3).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    before, _ = read_compiled(weights, SIZE)
    after = without_copies(read_compiled(weights, SIZE)[0])
    # of 27 joins 13 have the windows' size: 6 in the first block, 7 in the last one; three reductions halve it
    assert (len(nodes(before, "Concat", SIZE)), len(nodes(after, "Concat", SIZE))) == (13, 0)
    assert (len(nodes(before, "Transpose", SIZE // 2)), len(nodes(after, "Transpose", SIZE // 2))) == (1, 0)
    found = answer(after, windows)
    assert np.ptp(found) > 0.01
    np.testing.assert_allclose(found, answer(before, windows), atol=1e-5)


def test_a_graph_without_convolutions_stays_as_it_is():
    from jointnet.predict.runtime import openvino

    opset11 = openvino.opset11

    windows = opset11.parameter([1, 8, 8, 3], np.float32)
    graph = openvino.Model([opset11.relu(windows)], [windows], "none")
    assert [n.get_type_name() for n in without_copies(graph).get_ordered_ops()] == ["Parameter", "Relu", "Result"]
