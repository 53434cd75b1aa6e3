"""LossExplorer: focal gamma and alpha, Dice, and what each does to the gradient of an easy and a hard pixel."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image, ImageDraw

from jointnet.show.layers import encode
from jointnet.show.widgets.base import Explorer, code_of


class LossExplorer(Explorer):
    """Loss and gradient of one pixel under cross-entropy, focal loss and Dice, by the probability given to its truth.

    Cross-entropy and focal loss know the pixel alone. Dice knows the patch: how much of it is foreground, and how well
    the other pixels do. Gradients are taken where the network ends, before the sigmoid, and multiplied by the number of
    pixels, so that the three can be compared.

    Args:
        gamma: exponent of the focal loss.
        alpha: weight of the foreground in the focal loss; the background has 1 - alpha.
        easy: probability that an easy pixel gives to its truth.
        hard: probability that a hard pixel gives to its truth.
        share: foreground in the patch, in (0, 1).
        pixels: number of pixels in the patch.
    """

    _esm = code_of("loss")
    title = "Losses - JointNet"

    gamma = traitlets.Float(2.0).tag(sync=True)
    alpha = traitlets.Float(0.25).tag(sync=True)
    easy = traitlets.Float(0.95).tag(sync=True)
    hard = traitlets.Float(0.2).tag(sync=True)
    truth = traitlets.Enum(("foreground", "background"), "foreground").tag(sync=True)
    share = traitlets.Float(0.15).tag(sync=True)
    rest = traitlets.Float(0.8).tag(sync=True)
    pixels = traitlets.Int(128 * 128).tag(sync=True)

    def __init__(
        self, gamma: float = 2.0, alpha: float = 0.25, easy: float = 0.95, hard: float = 0.2, share: float = 0.15,
        pixels: int = 128 * 128,
    ) -> None:
        super().__init__()
        self.gamma, self.alpha, self.easy, self.hard = float(gamma), float(alpha), float(easy), float(hard)
        self.share, self.pixels = float(share), int(pixels)

    def focal_gradient(self, probability: np.ndarray) -> np.ndarray:
        """Size of the focal loss's gradient at the logit, for the probability given to the truth.

        The derivative of equation 5 of Lin et al. 2017 (appendix B there).
        """
        p = np.asarray(probability, float)
        weight = self.alpha if self.truth == "foreground" else 1 - self.alpha
        return weight * (1 - p) ** self.gamma * np.abs(self.gamma * p * np.log(p) + p - 1)

    def preview(self) -> bytes:
        """A PNG of the gradients of cross-entropy and focal loss."""
        picture = Image.new("RGB", (640, 320), "white")
        pen = ImageDraw.Draw(picture)
        p = np.linspace(0.005, 0.995, 199)
        pen.line([(50, 20), (50, 280), (620, 280)], fill="#444444", width=2)
        for values, colour in ((1 - p, "#0072B2"), (self.focal_gradient(p), "#D55E00")):
            pen.line([(50 + 570 * x, 280 - 260 * y) for x, y in zip(p, values, strict=True)], fill=colour, width=3)
        pen.text((400, 30), f"cross-entropy, focal (gamma {self.gamma:g})", fill="#222222")
        pen.text((230, 295), "probability given to the truth", fill="#222222")
        return encode(np.asarray(picture))
