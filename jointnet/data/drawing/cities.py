"""What sets the drawn cities apart: place, sun, colours, form. Data only; colours are sRGB, 0 to 255."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]

GREY_ROOFS = ((134, 134, 136), (112, 108, 106), (160, 160, 160), (92, 90, 92))
WHITE_ROOFS = ((205, 208, 212), (186, 190, 196), (218, 214, 204))
BROWN_ROOFS = ((122, 98, 80), (142, 118, 96), (104, 86, 74), (150, 132, 112))
RED_ROOFS = ((150, 88, 70), (172, 104, 80), (130, 78, 68), (160, 110, 92))
DARK_ROOFS = ((72, 70, 72), (84, 76, 70), (62, 64, 70))
METAL_ROOFS = ((176, 192, 202), (150, 170, 184), (196, 206, 210), (120, 146, 168))
RUSTY_ROOFS = ((150, 98, 74), (168, 116, 86), (134, 92, 76))
GREEN_ROOFS = ((96, 112, 96), (110, 132, 122))


@dataclass(frozen=True)
class City:
    """The look of one city.

    Attributes:
        lon: longitude of the first scene's corner in degrees; further scenes lie beside it.
        lat: its latitude in degrees.
        epsg: the UTM zone.
        form: the planner that lays it out, a key of `drawing.towns.FORMS`.
        sun: azimuth and elevation of the sun in degrees.
        cast: gains of red, green and blue, and `haze`, the grey added to all.
        roofs: colours of roofs; a colour listed twice is twice as common.
        grass, soil, road, paving: colours of the ground.
        trees: colours of crowns.
        canopy: trees per hectare of open ground.
        bare: share of crowns without leaves.
        flat: share of flat roofs.
        blur: the lens, as the sigma of a Gaussian in pixels.
        noise: the sensor, as a standard deviation in grey values.
    """

    lon: float
    lat: float
    epsg: int
    form: str
    sun: tuple[float, float]
    roofs: tuple[Colour, ...]
    grass: Colour = (104, 116, 74)
    soil: Colour = (150, 130, 106)
    road: Colour = (122, 121, 120)
    paving: Colour = (158, 154, 148)
    trees: tuple[Colour, ...] = ((66, 84, 50), (78, 94, 56), (56, 76, 50))
    canopy: float = 25.0
    bare: float = 0.0
    flat: float = 0.2
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    haze: float = 8.0
    blur: float = 0.55
    noise: float = 3.0


CITIES = {
    "austin": City(
        -97.7560, 30.2880, 32614, "suburb", (160, 42), GREY_ROOFS + BROWN_ROOFS + WHITE_ROOFS + DARK_ROOFS[:1],
        grass=(124, 118, 84), soil=(158, 140, 116), road=(128, 126, 126),
        trees=((74, 84, 58), (88, 92, 68), (64, 76, 54)),
        canopy=62, bare=0.45, flat=0.12, cast=(1.02, 1.0, 0.97), haze=6, noise=3.5,
    ),
    "chicago": City(
        -87.7010, 41.8610, 32616, "grid", (190, 47), GREY_ROOFS * 2 + BROWN_ROOFS + DARK_ROOFS + GREEN_ROOFS[:1],
        grass=(96, 110, 66), soil=(146, 132, 112), road=(118, 116, 112), paving=(150, 146, 138),
        trees=((88, 104, 60), (76, 92, 56), (110, 104, 86)), canopy=30, bare=0.4, flat=0.55,
        cast=(0.99, 1.01, 0.95), haze=4, blur=0.5,
    ),
    "kitsap": City(
        -122.6470, 47.6480, 32610, "forest", (170, 38), GREY_ROOFS + BROWN_ROOFS + DARK_ROOFS,
        grass=(106, 118, 78), soil=(150, 134, 112), road=(120, 122, 124),
        trees=((46, 66, 48), (54, 76, 52), (70, 92, 54)),
        canopy=75, bare=0.08, flat=0.05, cast=(0.96, 1.0, 1.02), haze=10, blur=0.65,
    ),
    "tyrol-w": City(
        10.9120, 47.3160, 32632, "village", (150, 48), RED_ROOFS * 2 + BROWN_ROOFS + GREY_ROOFS,
        grass=(104, 132, 84), soil=(166, 156, 136), road=(164, 164, 158), paving=(172, 170, 162),
        trees=((50, 76, 60), (66, 96, 66), (78, 106, 66)), canopy=22, flat=0.06, cast=(0.99, 1.02, 1.0),
        haze=16, noise=2.5,
    ),
    "vienna": City(
        16.3530, 48.2070, 32633, "perimeter", (165, 50), RED_ROOFS * 2 + BROWN_ROOFS + GREY_ROOFS + DARK_ROOFS,
        grass=(98, 114, 72), soil=(160, 146, 124), road=(116, 116, 118), paving=(146, 143, 138),
        trees=((62, 84, 52), (80, 100, 60)), canopy=28, flat=0.15, cast=(1.03, 1.0, 0.98), haze=10,
    ),
    "bellingham": City(
        -122.4960, 48.7470, 32610, "harbour", (175, 40), GREY_ROOFS * 2 + WHITE_ROOFS + BROWN_ROOFS + GREEN_ROOFS,
        grass=(110, 122, 80), soil=(152, 140, 124), road=(118, 120, 122), paving=(150, 150, 148),
        trees=((56, 80, 52), (72, 94, 58)), canopy=26, bare=0.1, flat=0.4, cast=(0.98, 1.0, 1.02), haze=9,
    ),
    "bloomington": City(
        -86.5260, 39.1650, 32616, "mall", (155, 45), GREY_ROOFS + BROWN_ROOFS * 2 + WHITE_ROOFS + DARK_ROOFS,
        grass=(112, 120, 74), soil=(160, 134, 104), road=(132, 130, 128), paving=(160, 156, 150),
        trees=((84, 92, 60), (70, 86, 54), (112, 102, 86)), canopy=45, bare=0.5, flat=0.2,
        cast=(1.03, 1.0, 0.95), haze=7,
    ),
    "innsbruck": City(
        11.3920, 47.2640, 32632, "riverside", (185, 46), RED_ROOFS + BROWN_ROOFS + GREY_ROOFS * 2 + DARK_ROOFS,
        grass=(100, 124, 80), soil=(164, 154, 136), road=(134, 134, 132), paving=(160, 158, 152),
        trees=((52, 80, 56), (70, 96, 62)), canopy=30, flat=0.25, cast=(0.98, 1.0, 1.03), haze=14,
    ),
    "sfo": City(
        -122.4790, 37.7550, 32610, "rows", (200, 44), WHITE_ROOFS + GREY_ROOFS * 2 + BROWN_ROOFS + DARK_ROOFS[:1],
        grass=(122, 118, 82), soil=(164, 146, 118), road=(124, 124, 126), paving=(166, 163, 158),
        trees=((66, 82, 54), (84, 94, 62)), canopy=20, flat=0.8, cast=(1.0, 1.0, 1.0), haze=8, noise=3.5,
    ),
    "tyrol-e": City(
        12.7640, 46.8290, 32633, "valley", (145, 44), RED_ROOFS + BROWN_ROOFS * 2 + GREY_ROOFS,
        grass=(100, 128, 78), soil=(162, 146, 120), road=(156, 154, 148), paving=(168, 164, 156),
        trees=((44, 70, 54), (58, 88, 60), (74, 100, 62)), canopy=20, flat=0.05, cast=(0.97, 1.01, 1.01), haze=12,
    ),
}

# Of no data set, so that no weights have seen them: sheets of metal and rusty tiles on red soil, under another sun.
UNSEEN = {
    "yourtown": City(
        39.2300, -6.7800, 32737, "suburb", (55, 62), METAL_ROOFS * 2 + RUSTY_ROOFS + DARK_ROOFS[:1],
        grass=(164, 122, 84), soil=(178, 120, 82), road=(186, 146, 110), paving=(192, 168, 140),
        trees=((58, 88, 40), (78, 104, 46), (96, 112, 58)), canopy=30, flat=0.35, cast=(1.06, 0.99, 0.90),
        haze=18, blur=0.7, noise=4.0,
    ),
}
