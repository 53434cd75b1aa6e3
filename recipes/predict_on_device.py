r"""How fast an array is predicted on one accelerator, and which share of its peak that is. Keras on JAX or PyTorch.

    KERAS_BACKEND=jax python recipes/predict_on_device.py --preset base --side 5000 --windows 256 512 \
        --precisions float32 bfloat16 --peak 989

Megapixels a second of `jointnet.predict_array`, from an array to an array, and of the network on one batch of windows,
with the way to the device and back. --peak is the card's own in TFLOP a second (an H100: 989 in bfloat16 without
sparsity, by its data sheet), and tells something of the precision that it is given for. Needs NumPy, h5py, filelock,
Keras and JAX or PyTorch; neither rasterio nor TensorFlow.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from jointnet.backend import keras
from jointnet.network.card import Card
from jointnet.network.cost import cost_by_block
from jointnet.network.training import build_network
from jointnet.predict.arrays import predict_array
from jointnet.predict.engines import make_engine
from jointnet.predict.windows import WindowGrid, stride_of

OVERLAP = 1 / 8
TURNS = 3


def seconds(call: Callable[[], object]) -> float:
    """The shortest of a few calls, after one that compiles."""
    call()
    return min(timed(call) for _ in range(TURNS))


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Reads the command line, measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="base")
    parser.add_argument("--normalization", default="group", choices=("group", "batch"))
    parser.add_argument("--side", type=int, default=5000, help="of the image, in pixels")
    parser.add_argument("--windows", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--peak", type=float, help="TFLOP a second that the device can do at most")
    args = parser.parse_args()
    image = np.random.default_rng(0).integers(0, 256, (args.side, args.side, 3), np.uint8)
    print(f"{keras.backend.backend()}, preset {args.preset}, {args.side} x {args.side} px, overlap {OVERLAP:g}")
    print("precision  window  whole: s, MP/s, TFLOP/s   one batch: MP/s, TFLOP/s   of the peak")
    for precision in args.precisions:
        for size in args.windows:
            network = build_network(Card(name="measured", preset=args.preset, patch_size=size,
                                         normalization=args.normalization), precision)
            flop = 2 * cost_by_block(network)["all"]["multiply_adds"]  # a pixel that the network is shown
            shown = WindowGrid(args.side, args.side, size, stride_of(size, OVERLAP)).work * args.side**2
            engine = make_engine(network, "keras", size)
            windows = np.zeros((engine.batch, size, size, 3), np.uint8)
            batch = engine.batch * size**2 / seconds(lambda engine=engine, windows=windows: engine(windows))
            whole = seconds(lambda network=network, size=size: predict_array(
                network, image, OVERLAP, size, engine="keras"))
            rates = [args.side**2 / whole / 1e6, shown / whole * flop / 1e12, batch / 1e6, batch * flop / 1e12]
            share = f"{rates[3] / args.peak:.0%}" if args.peak else "-"
            print(f"{precision:9}  {size:6}  {whole:7.2f}, {rates[0]:6.2f}, {rates[1]:7.2f}   {rates[2]:15.2f}, "
                  f"{rates[3]:7.2f}   {share:>16}")


if __name__ == "__main__":
    main()
