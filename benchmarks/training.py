"""Training: a step and a forward pass against PyTorch eager and against the convolutions alone; one table in one run.

    JOINTNET_TORCH=/path/to/python python benchmarks/training.py [--preset tiny] [--batch 8] [--side 128]

Figures are seconds of processor time, which a busy machine disturbs less than the clock; the ratios are what counts.
PyTorch is no dependency of the project: JOINTNET_TORCH names a Python that has it, and its rows are left out without.
The network there is given our weights, and its answer is compared with ours before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 2
PATIENT = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}  # or waiting threads count as work, mostly PyTorch's


def best(call, *arguments) -> float:
    """Seconds of processor time of the quickest of some calls, after one that is not counted."""
    call(*arguments)
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        call(*arguments)
        times.append(time.process_time() - start)
    return min(times)


def batch_of(settings) -> tuple[np.ndarray, np.ndarray]:
    """An image in [0, 255] and labels, of noise."""
    rng = np.random.default_rng(0)
    shape = (settings.batch, settings.side, settings.side)
    return rng.integers(0, 256, (*shape, 3)).astype("float32"), (rng.random((*shape, 1)) > 0.8).astype("float32")


def keras_times(settings) -> dict[str, float]:
    """Step and forward pass of one variant of the network, as `train` compiles it."""
    from jointnet.network.losses import PixelLoss
    from jointnet.network.training import _optimizer
    from jointnet.options import FitOptions

    model, (image, labels) = build(settings), batch_of(settings)
    model.compile(_optimizer(FitOptions(learning_rate=1e-3)), PixelLoss("cross_entropy_dice"), jit_compile=False)
    return {"forward": best(model.predict_on_batch, image), "step": best(model.train_on_batch, image, labels)}


def build(settings):
    """The network of `settings.variant`."""
    from jointnet.backend import keras
    from jointnet.network import model
    from jointnet.network.unet import build_unet

    keras.utils.set_random_seed(0)
    if settings.variant == "unet":
        return build_unet(settings.preset)
    if settings.variant == "keras_norm":
        model.GroupNormalization = keras.layers.GroupNormalization
    return model.build_jointnet(settings.preset, normalization="none" if settings.variant == "no_norm" else "group")


def convolution_times(settings) -> dict[str, float]:
    """All convolutions of the network, each for itself on noise: forward, and forward with both gradients."""
    model = build(settings)
    import tensorflow as tf  # after our backend, which asks it for oneDNN

    from jointnet.backend import keras

    inputs = {layer.name: layer.input for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    spec = keras.KerasTensor((settings.batch, settings.side, settings.side, 3))
    shapes = keras.Model(model.inputs, inputs).compute_output_spec(spec)
    tf.get_logger().setLevel("ERROR")  # that each convolution is traced anew is meant
    total = {"forward": 0.0, "step": 0.0}
    for name, shape in shapes.items():
        forward, step = (tf.function(f) for f in one_convolution(tf, model.get_layer(name)))
        x = tf.random.normal(shape.shape)
        total["forward"] += best(forward, x)
        total["step"] += best(step, x)
    return total


def one_convolution(tf, layer) -> tuple:
    """Functions of an input: the layer's output, and the gradients by its input, kernel and bias."""

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, *layer.trainable_variables])

    return layer.call, step


def torch_times(settings) -> dict[str, float]:
    """The same network in PyTorch eager; runs under JOINTNET_TORCH."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    layout = torch.channels_last if settings.variant == "torch_channels_last" else torch.contiguous_format
    held = dict(np.load(settings.weights))
    image, labels = (torch.tensor(a).permute(0, 3, 1, 2).contiguous(memory_format=layout) for a in batch_of(settings))
    expected = held.pop("expected")
    p = {k: torch.tensor(v.transpose(3, 2, 0, 1) if v.ndim == 4 else v) for k, v in held.items()}
    p = {k: (v.contiguous(memory_format=layout) if v.ndim == 4 else v).requires_grad_() for k, v in p.items()}

    def convolve(x, name, rate=1, stride=1):
        kernel = p[f"{name}/kernel"]
        return F.conv2d(x, kernel, p[f"{name}/bias"], stride, rate * (kernel.shape[-1] // 2), rate)

    def block(x, name):
        features = [x]
        for k, rate in enumerate((1, 2, 5, 1, 2, 5), 1):
            y = F.relu(convolve(torch.cat(features, 1), f"{name}_atrous{k}", rate))
            scale, shift = (p[f"{name}_norm{k}/{part}"] for part in ("gamma", "beta"))
            features.append(F.group_norm(y, y.shape[1] // 4, scale, shift, 0.1))
        return F.relu(convolve(torch.cat(features, 1), f"{name}_distribution"))

    def network(x):
        x, skips = x / 255, []
        for k in (1, 2, 3):
            skips.append(block(x, f"encoder{k}"))
            x = F.relu(convolve(skips[-1], f"encoder{k}_reduction", stride=2))
        x = F.relu(convolve(x, "bridge"))
        for k in (3, 2, 1):
            x = torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear"), skips[k - 1]], 1)
            x = F.relu(convolve(x, f"decoder{k}_narrow")) if k > 1 else block(x, "decoder1")
        return torch.sigmoid(convolve(x, "logits"))

    with torch.no_grad():
        far = float((network(image).permute(0, 2, 3, 1) - torch.tensor(expected)).abs().max())
    if far > 1e-4:
        raise SystemExit(f"PyTorch's answer differs from ours by {far}: this is not the same network")
    optimizer = torch.optim.Adam(p.values(), 1e-3)

    def step():
        optimizer.zero_grad()
        found = network(image)
        overlap, areas = (labels * found).sum(), (labels + found).sum()
        loss = F.binary_cross_entropy(found, labels) + 1 - (2 * overlap + 1) / (areas + 1)
        loss.backward()
        optimizer.step()

    def forward():
        with torch.no_grad():
            network(image)

    return {"forward": best(forward), "step": best(step)}


def keep_weights(settings) -> None:
    """Our weights by layer, and our answer, for PyTorch."""
    model = build(settings)
    held = {f"{layer.name}/{w.name}": np.asarray(w) for layer in model.layers for w in layer.weights}
    np.savez(settings.weights, **held, expected=model.predict_on_batch(batch_of(settings)[0]))


PARTS = {
    "ours": ("our network", keras_times, {}),
    "convolutions": ("its convolutions alone", convolution_times, {}),
    "no_norm": ("without group normalisation", keras_times, {}),
    "keras_norm": ("with Keras' own group normalisation", keras_times, {}),
    "no_onednn": ("without oneDNN", keras_times, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "unet": ("the U-Net of that size", keras_times, {}),
    "torch": ("the same network in PyTorch eager", torch_times, {}),
    "torch_channels_last": ("... with channels last", torch_times, {}),
}


def measure(variant: str, settings, weights: Path) -> dict[str, float]:
    """Times of one variant, in a process of its own."""
    python = os.environ["JOINTNET_TORCH"] if variant.startswith("torch") else sys.executable
    command = [python, __file__, "--variant", variant, "--weights", str(weights)]
    command += [f"--{name}={getattr(settings, name)}" for name in ("preset", "batch", "side")]
    extra = PARTS[variant][2] if variant in PARTS else {}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | PATIENT | extra
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    """Prints a row for each variant: seconds of processor time, and ratios to our network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128, help="of a patch, in pixels")
    parser.add_argument("--only", default="ours,convolutions,torch,torch_channels_last",
                        help="these variants, with commas between: " + ",".join(PARTS))
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.variant == "keep":
        keep_weights(settings)
        print("{}")
        return
    if settings.variant:
        print(json.dumps(PARTS[settings.variant][1](settings)))
        return
    chosen = settings.only.split(",")
    if not os.environ.get("JOINTNET_TORCH"):
        print("PyTorch is left out: JOINTNET_TORCH names no Python that has it")
        chosen = [c for c in chosen if not c.startswith("torch")]
    print(f"{settings.preset}, {settings.batch} patches of {settings.side} px; seconds of processor time")
    print(f"{'':38}{'forward':>9}{'step':>9}   ours / it: forward, step")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        if any(c.startswith("torch") for c in chosen):
            measure("keep", settings, weights)
        ours = measure("ours", settings, weights)
        for variant in chosen:
            it = ours if variant == "ours" else measure(variant, settings, weights)
            ratios = ", ".join(f"{ours[k] / it[k]:.2f}" for k in ("forward", "step"))
            print(f"{PARTS[variant][0]:38}{it['forward']:9.3f}{it['step']:9.3f}   {ratios}", flush=True)


if __name__ == "__main__":
    main()
