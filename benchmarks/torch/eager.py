"""JointNet, preset `small`, in plain PyTorch: prints the least processor seconds of one window of the given side.

It is run by `benchmarks/prediction.py`, in an environment that has PyTorch; that of this project need not have it.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

DILATIONS = (1, 2, 5, 1, 2, 5)
WIDTHS, BRIDGE = (16, 32, 64), 128


class Block(nn.Module):
    """A dense atrous convolution block: (n, c, h, w) -> (n, 4 * growth, h, w)."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.atrous = nn.ModuleList(
            nn.Conv2d(channels + i * growth, growth, 3, padding=d, dilation=d) for i, d in enumerate(DILATIONS))
        self.norms = nn.ModuleList(nn.GroupNorm(growth // 4, growth, eps=0.1) for _ in DILATIONS)
        self.distribution = nn.Conv2d(channels + len(DILATIONS) * growth, 4 * growth, 1)

    def forward(self, x):
        """The distribution output."""
        features = [x]
        for convolution, norm in zip(self.atrous, self.norms, strict=True):
            features.append(norm(functional.relu(convolution(torch.cat(features, 1)))))
        return functional.relu(self.distribution(torch.cat(features, 1)))


class JointNet(nn.Module):
    """(n, 3, h, w) bytes -> (n, 1, h, w) probabilities."""

    def __init__(self):
        super().__init__()
        channels = (3, *WIDTHS[:2])
        self.encoder = nn.ModuleList(Block(c, g) for c, g in zip(channels, WIDTHS, strict=True))
        self.reductions = nn.ModuleList(nn.Conv2d(4 * g, g, 1, stride=2) for g in WIDTHS)
        self.bridge = nn.Conv2d(WIDTHS[2], BRIDGE, 1)
        self.narrow3 = nn.Conv2d(BRIDGE + 4 * WIDTHS[2], WIDTHS[2], 1)
        self.narrow2 = nn.Conv2d(WIDTHS[2] + 4 * WIDTHS[1], WIDTHS[1], 1)
        self.decoder = Block(WIDTHS[1] + 4 * WIDTHS[0], WIDTHS[0])
        self.logits = nn.Conv2d(4 * WIDTHS[0], 1, 1)

    def forward(self, image):
        """The probabilities."""
        x, skips = image.float() / 255, []
        for block, reduction in zip(self.encoder, self.reductions, strict=True):
            skips.append(block(x))
            x = functional.relu(reduction(skips[-1]))
        x = functional.relu(self.bridge(x))
        x = functional.relu(self.narrow3(_join(x, skips[2])))
        x = functional.relu(self.narrow2(_join(x, skips[1])))
        return torch.sigmoid(self.logits(self.decoder(_join(x, skips[0]))))


def _join(x, skip):
    return torch.cat([functional.interpolate(x, scale_factor=2, mode="bilinear"), skip], 1)


def main() -> None:
    """Prints the seconds."""
    side, taken = int(sys.argv[1]), []
    network = JointNet().eval().to(memory_format=torch.channels_last)
    image = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for turn in range(5):
            start = time.process_time()
            network(image)
            if turn:
                taken.append(time.process_time() - start)
    print(json.dumps(min(taken)))


if __name__ == "__main__":
    main()
