"""What tests of several sections share: runs of odd shapes, and whether figures fit."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mtlbench.report.canvas import Drawing, drawing
from mtlbench.report.frame import RunView
from mtlbench.report.section import Section

WIDEST_PX, PX_PER_INCH = 680, 96


def with_copies(table: pd.DataFrame, copies: int) -> pd.DataFrame:
    """The single-task networks, and the static network under so many names."""
    static = table[table["variant"] == "static_mtl"]
    named = [static.assign(variant=f"way{i:03d}", cell_id=f"way-{i}") for i in range(copies)]
    return pd.concat([table[table["variant"] == "single_task"], *named], ignore_index=True)


def static_alone(view: RunView) -> RunView:
    """The run without anything but its static network."""
    return replace(view, table=view.table[view.table["variant"] == "static_mtl"])


def check_figures(found: Section, highest_px: float) -> None:
    """Every figure has words and a name of its own, and nothing of it lies outside."""
    drawn = [shown for shown in found.blocks if isinstance(shown, Drawing)]
    assert len({picture.slug for picture in drawn}) == len(drawn)
    for picture in drawn:
        assert picture.caption
        assert picture.alt
        with drawing():
            picture.figure.draw_without_rendering()
            tight = picture.figure.get_tightbbox()
        width, height = picture.figure.get_size_inches()
        assert width * PX_PER_INCH <= WIDEST_PX
        assert height * PX_PER_INCH <= highest_px
        assert tight.x0 >= -0.01
        assert tight.x1 <= width + 0.01
        assert tight.y0 >= -0.01
        assert tight.y1 <= height + 0.01
