"""Palettes."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.tasks.colours import GREY, binary_picture, class_palette, class_picture


@pytest.mark.parametrize("classes", [2, 7, 21, 41, 255])
def test_class_colours_differ_from_each_other_and_from_grey(classes):
    palette = class_palette(classes)
    assert palette.shape == (256, 3)
    assert len({tuple(colour) for colour in palette[:classes].tolist()} | {GREY}) == classes + 1
    assert (palette[classes:] == 128).all()


def test_a_palette_is_a_prefix_of_a_longer_one():
    np.testing.assert_array_equal(class_palette(41)[:21], class_palette(21)[:21])


def cielab(colours):
    scaled = colours / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    x, y, z = (xyz / [0.9505, 1, 1.089]).clip(1e-9).T
    f = [np.where(v > 216 / 24389, np.cbrt(v), v * 841 / 108 + 4 / 29) for v in (x, y, z)]
    return np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], axis=1)


def without_red_and_green(colours):
    # the classic dichromat picture of Vienot, Brettel and Mollon, 1999, on gamma 2.2
    linear = (colours / 255) ** 2.2 @ np.array(
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    ).T
    return 255 * linear.clip(0, 1) ** (1 / 2.2)


@pytest.mark.parametrize(("classes", "apart", "apart_blind"), [(7, 20, 9), (21, 15, 9), (41, 10, 8)])
def test_colours_are_well_apart_with_and_without_red_and_green(classes, apart, apart_blind):
    # in CIELAB a difference of 2.3 can just be seen
    colours = np.vstack([class_palette(classes)[:classes], GREY]).astype(float)
    for seen, least in ((colours, apart), (without_red_and_green(colours), apart_blind)):
        lab = cielab(seen)
        gaps = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(classes + 1, 1)]
        assert gaps.min() > least


def test_pictures_index_the_palette():
    label = np.array([[0, 1, 255]], dtype=np.uint8)
    assert class_picture(label, 3).tolist() == [[[0, 0, 0], [230, 159, 0], [128, 128, 128]]]
    assert binary_picture(label).tolist() == [[[0, 0, 0], [255, 255, 255], [128, 128, 128]]]


def test_a_palette_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        class_palette(5)[0] = 1
