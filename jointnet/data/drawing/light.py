"""Noise, shadows and the camera: heights and colours of painted pixels in, what a sensor sees of them out."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from jointnet.data.drawing.plan import Plan

FINER = 2  # painted pixels along each side of a pixel


def smooth_noise(rng: np.random.Generator, n: int, cell: float) -> np.ndarray:
    """Noise of unit spread whose blobs are `cell` pixels wide: float32 (n, n)."""
    coarse = max(4, round(n / cell) + 3)
    values = rng.standard_normal((coarse, coarse), np.float32)
    if cell <= 1.01:
        return values[:n, :n] if coarse >= n else np.resize(values, (n, n))
    field = np.asarray(Image.fromarray(values).resize((n, n), Image.Resampling.BICUBIC))
    return field / max(float(field.std()), 1e-6)


def cast_shadows(height: np.ndarray, east: float, south: float, drop: float) -> np.ndarray:
    """Where something towards the sun is higher than the ray: float32 in [0, 1], softened at the edge.

    The highest obstacle over 1, 2, 4, ... 256 pixels towards the sun is found by doubling, so eight shifts suffice.

    Args:
        height: metres.
        east: step towards the sun, to the right; with `south` of unit length.
        south: step towards the sun, down.
        drop: metres by which the sun's ray rises a pixel.
    """
    highest = height - np.float32(0.15)
    for power in range(8):
        far = 2**power
        shifted = _shift(highest, round(far * south), round(far * east)) - np.float32(drop * far)
        highest = np.maximum(highest, shifted)
    return np.clip((highest - height) / 0.5, 0, 1)


def _shift(field: np.ndarray, down: int, right: int) -> np.ndarray:
    """The values `down` rows and `right` columns further on; far below ground beyond the edge."""
    n, m = field.shape
    out = np.full_like(field, -1e3)
    rows, cols = slice(max(0, -down), min(n, n - down)), slice(max(0, -right), min(m, m - right))
    source = slice(max(0, down), min(n, n + down)), slice(max(0, right), min(m, m + right))
    out[rows, cols] = field[source]
    return out


def expose(plan: Plan, scene: np.ndarray) -> np.ndarray:
    """Lens, air and sensor: half the size, blurred, hazy, tinted, noisy; uint8."""
    city, n = plan.city, scene.shape[0] // FINER
    image = sum(scene[i::FINER, k::FINER] for i in range(FINER) for k in range(FINER)) / np.float32(FINER**2)
    weather = plan.rng.normal(1, 0.06) * plan.rng.normal(1, 0.02, 3)  # exposure and white balance of this flight
    image = gaussian_filter(image, (city.blur, city.blur, 0))
    image = (image * (1 - city.haze / 255) + city.haze) * np.multiply(city.cast, weather).astype(np.float32)
    image += city.noise * plan.rng.standard_normal((n, n, 1), np.float32)
    image += 0.6 * city.noise * plan.rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image), 1, 255).astype(np.uint8)
