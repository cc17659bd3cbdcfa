"""Labels as pictures, uint8 [H, W, 3]; ignored pixels are grey (128, 128, 128)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.tasks._pooled import IGNORE

__all__ = [
    "GREY",
    "binary_picture",
    "class_palette",
    "class_picture",
    "depth_picture",
    "hex_colour",
    "normals_picture",
]

GREY = (128, 128, 128)

# Okabe and Ito, "Color Universal Design", 2008: distinct under every common colour blindness.
OKABE_ITO = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

# Machado et al., IEEE TVCG 2009, deuteranopia, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)

# Ottosson, "A perceptual color space for image processing" (OKLab), 2020.
RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@lru_cache(maxsize=32)
def class_palette(classes: int) -> NDArray[np.uint8]:
    """Colours [256, 3] indexed by label; rows from `classes` on are grey. Read-only.

    The first eight are those of Okabe and Ito. Each further one is, on a coarse RGB grid, the colour farthest
    from all before it and from grey, in OKLab, as seen with normal vision or with deuteranopia, whichever is
    nearer (ours).
    """
    grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round()] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    # grey means ignored, and screens show all that is nearly black alike
    grid = grid[(np.ptp(grid, axis=1) > 0) & (grid.max(axis=1) > 90)]
    chosen = [np.array(colour, dtype=np.float64) for colour in (GREY, *OKABE_ITO)]
    nearest = np.min([_distance(grid, colour) for colour in chosen], axis=0)
    while len(chosen) <= classes:
        chosen.append(grid[int(nearest.argmax())])
        nearest = np.minimum(nearest, _distance(grid, chosen[-1]))
    palette = np.full((256, 3), GREY, dtype=np.uint8)
    palette[:classes] = np.array(chosen[1 : classes + 1])
    palette.setflags(write=False)
    return palette


def class_picture(label: NDArray[Any], classes: int) -> NDArray[np.uint8]:
    """A class map [H, W] in the colours of `class_palette`."""
    picture: NDArray[np.uint8] = class_palette(classes)[label]
    return picture


def binary_picture(label: NDArray[Any]) -> NDArray[np.uint8]:
    """A map [H, W] of 0, 1 and 255 = ignore in black, white and grey."""
    palette = np.full((256, 3), GREY, dtype=np.uint8)
    palette[0], palette[1] = 0, 255
    palette[IGNORE] = GREY
    picture: NDArray[np.uint8] = palette[label]
    return picture


def hex_colour(colour: Sequence[int] | NDArray[np.uint8]) -> str:
    """Red, green and blue, 0 to 255, as `#rrggbb`."""
    red, green, blue = (int(part) for part in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"


def normals_picture(label: NDArray[Any]) -> NDArray[np.uint8]:
    """Unit vectors [H, W, 3] in the camera frame as red = right, green = up, blue = towards the viewer."""
    valid = np.isfinite(label).all(axis=-1) & (label != 0).any(axis=-1)
    towards_viewer = np.where(valid[..., None], label, 0) * np.array([1.0, -1.0, -1.0])
    picture: NDArray[np.uint8] = np.clip(towards_viewer * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    picture[~valid] = GREY
    return picture


def depth_picture(label: NDArray[Any], limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Depth [H, W] in viridis from near (dark) to far (bright).

    Args:
        label: metres; what is not finite and above 0 is missing.
        limits: depths of the ends, beyond which colours stay the same; None: the valid range of this image.
    """
    from matplotlib import colormaps

    valid = np.isfinite(label) & (label > 0)
    picture = np.full((*label.shape, 3), GREY, dtype=np.uint8)
    if not valid.any():
        return picture
    depths = label[valid].astype(np.float64)
    near, far = limits or (depths.min(), depths.max())
    share = np.clip((depths - near) / (far - near), 0, 1) if far > near else np.zeros_like(depths)
    picture[valid] = colormaps["viridis"](share, bytes=True)[:, :3]
    return picture


def _distance(colours: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab distance of sRGB colours [n, 3] to one, the smaller of normal vision and deuteranopia."""
    seen = [_oklab(colours, blind) - _oklab(other, blind) for blind in (False, True)]
    return np.linalg.norm(seen, axis=-1).min(axis=0)  # type: ignore[no-any-return]  # numpy's stub


def _oklab(colours: NDArray[np.float64], deuteranopia: bool) -> NDArray[np.float64]:
    scaled = colours / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    if deuteranopia:
        linear = np.clip(linear @ DEUTERANOPIA.T, 0, 1)
    lab: NDArray[np.float64] = np.cbrt(linear @ RGB_TO_LMS.T) @ LMS_TO_LAB.T
    return lab
