"""Makes of published weights a network in 8-bit numbers, twice as fast, beside them: what `engine="int8"` runs.

    pip install nncf
    python recipes/quantize.py CROPS buildings-small

CROPS is laid out as in buildings_crops.py. The ranges of the features come from training crops (post-training
quantisation, with ranges by quantiles: a few rare values would take the others' digits). Prints the IoU of both
networks on the validation crops, each at its best threshold, and the processor time of a window by turns; the file is
written if the IoU falls by less than 0.005. NNCF is needed here only: to run the network takes OpenVINO alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import nncf
import numpy as np
from buildings_crops import read_crops
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet

from jointnet.evaluate.thresholds import count_probabilities
from jointnet.network.card import open_weights
from jointnet.predict.compiled import int8_beside, read_compiled, write_compiled
from jointnet.predict.graphs import without_copies
from jointnet.predict.runtime import CORE

MOST_LOST = 0.005  # IoU


def quantized(graph: Any, images: list[np.ndarray]) -> Any:
    """The network with its convolutions in 8-bit numbers; images are uint8 (size, size, bands)."""
    ranges = AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MEAN_QUANTILE)
    return nncf.quantize(graph, nncf.Dataset([image[None] for image in images]), subset_size=len(images),
                         preset=nncf.QuantizationPreset.MIXED, advanced_parameters=ranges)


def best_iou(network: Any, crops: list[dict]) -> float:
    """IoU over crops of one window each, at the threshold at which it is highest."""
    counts = [count_probabilities(network(c["image"][None])[0][0, ..., 0], c["mask"], c["valid"]) for c in crops]
    pooled = sum(counts[1:], counts[0])
    return pooled.counts_at(pooled.best_threshold("iou")).iou


def seconds(networks: list[Any], image: np.ndarray, rounds: int = 12) -> list[float]:
    """Median processor time of a window, by turns."""
    taken: list[list[float]] = [[] for _ in networks]
    for _ in range(rounds):
        for network, times in zip(networks, taken, strict=True):
            begin = time.process_time()
            network(image[None])
            times.append(time.process_time() - begin)
    return [float(np.median(times)) for times in taken]


def main() -> None:
    """Reads the command line, quantises, measures, and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--images", type=int, default=24, help="training crops that the ranges are taken from")
    parser.add_argument("--out", type=Path, help="file to write; the one beside the weights without it")
    args = parser.parse_args()
    weights = open_weights(args.weights)
    size, shrink = weights.card.patch_size, round(weights.card.gsd / 0.3)
    training = read_crops(args.crops, "inria_crops", "train", keep_empty=0.3, shrink=shrink)
    images = [c["image"][:size, :size] for c in training[::max(1, len(training) // args.images)]][:args.images]
    validation = read_crops(args.crops, "inria_crops", "validation", shrink=shrink)
    graph, digest = read_compiled(weights, size)
    small = quantized(without_copies(graph), images)
    networks = [CORE.compile_model(g, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
                for g in (without_copies(read_compiled(weights, size)[0]), small)]
    before, after = (best_iou(network, validation) for network in networks)
    slow, fast = seconds(networks, images[0])
    print(f"IoU {before:.4f} in 32 bits, {after:.4f} in 8; {slow:.3f} and {fast:.3f} CPU seconds a window")
    if before - after >= MOST_LOST:
        raise SystemExit(f"it loses {before - after:.4f}: nothing is written")
    print(write_compiled(small, weights, size, digest, args.out or int8_beside(weights.path)))


if __name__ == "__main__":
    main()
