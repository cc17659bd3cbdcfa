from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import fake_view, full_table, random_weights
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from mtlbench.report.canvas import Absent, Drawing, drawing, shorten, whiskers
from mtlbench.report.claims import claims
from mtlbench.report.colours import styles
from mtlbench.report.frame import Estimate, RunView, variants
from mtlbench.report.groups import groups
from mtlbench.report.plots import task_bars, trade_off
from mtlbench.report.prose import costs, front


def drawn(view: RunView, cost: int = -1) -> Drawing:
    (group,) = groups(view)
    picture = trade_off(group, costs(group)[cost], styles(variants(view)))
    assert isinstance(picture, Drawing)
    return picture


def test_the_front_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(3)
    cost, quality = pd.Series(rng.integers(0, 9, 40) * 1.0), pd.Series(rng.integers(0, 9, 40) * 1.0)
    cost[3] = quality[5] = np.nan
    expected = [
        not any(c <= a and q >= b and (c < a or q > b) for c, q in zip(cost, quality, strict=True))
        and bool(np.isfinite(a) and np.isfinite(b))
        for a, b in zip(cost, quality, strict=True)
    ]
    assert list(front(cost, quality)) == expected


def test_marks_stand_at_the_values_in_the_axis_unit(tmp_path: Path) -> None:
    view = fake_view(tmp_path, full_table(seeds=1))
    picture = drawn(view, cost=0)
    (axes,) = picture.figure.axes
    assert axes.get_xlabel() == "executed MACs, GMACs per image"
    marks = {
        (round(x, 6), round(y, 6))
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_marker() in {"s", "o", "^", "D"}
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)  # type: ignore[arg-type]  # arrays
    }
    done = view.table[view.table["status"] == "ok"]
    pairs = zip(done["macs_executed"] / 1e9, done["delta_m"], strict=True)
    assert marks == {(round(x, 6), round(y, 6)) for x, y in pairs}


def test_without_delta_m_each_task_has_a_panel_with_its_direction(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    view = fake_view(tmp_path, table.drop(columns=[name for name in table if name.startswith("delta_m")]))
    titles = [axes.get_title(loc="left") for axes in drawn(view).figure.axes if axes.axison]
    assert titles[0] == "semseg miou (higher is better)"
    assert titles[-1] == "normals mean_angle (lower is better)"
    assert len(titles) == 5


@pytest.mark.parametrize("names", [["$x^2$", "_hidden", "a" * 200], ["\x07bell", "名前", "é\n"]])
def test_odd_names_are_drawn_as_they_are(tmp_path: Path, names: list[str]) -> None:
    table = full_table(seeds=1)
    table["variant"] = table["variant"].replace(
        dict(zip(["static_mtl", "adamtl", "computation_sharing"], names, strict=True))
    )
    picture = drawn(fake_view(tmp_path, table))
    with drawing():
        picture.figure.savefig(tmp_path / "x.png")
    legend = [entry.get_text() for entry in picture.figure.legends[0].get_texts()]
    assert {shorten(name) for name in names} <= set(legend)


def test_labels_cover_neither_each_other_nor_foreign_marks(tmp_path: Path) -> None:
    picture = drawn(fake_view(tmp_path, full_table(seeds=1)))
    figure: Figure = picture.figure
    with drawing():
        figure.draw_without_rendering()
        renderer = figure._get_renderer()  # type: ignore[attr-defined]  # matplotlib has no public way to measure text
        boxes = [
            text.get_window_extent(renderer) for text in figure.axes[0].texts if isinstance(text, Annotation)
        ]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_nothing_is_clipped_at_the_figure_edge(tmp_path: Path) -> None:
    view = fake_view(tmp_path)
    (group,) = groups(view)
    look = styles(variants(view))
    for picture in (drawn(view), task_bars(group, look), claims(group, look)):
        assert isinstance(picture, Drawing)
        with drawing():
            picture.figure.draw_without_rendering()
            tight = picture.figure.get_tightbbox()
        width, height = picture.figure.get_size_inches()
        assert tight.x0 >= -0.01
        assert tight.y0 >= -0.01
        assert tight.x1 <= width + 0.01
        assert tight.y1 <= height + 0.01


def test_costs_over_decades_get_a_logarithmic_axis(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    table.loc[table["variant"] == "adamtl", "macs_executed"] /= 100
    assert drawn(fake_view(tmp_path, table), cost=0).figure.axes[0].get_xscale() == "log"


def test_claims_show_shares_of_the_own_reference(tmp_path: Path) -> None:
    view = fake_view(tmp_path, full_table(seeds=1))
    (group,) = groups(view)
    picture = claims(group, styles(variants(view)))
    assert isinstance(picture, Drawing)
    assert "computation_sharing at keep_ratio 0.5: claimed 47 %, nominal 51 %, executed 83 %" in picture.alt
    assert "single_task:" not in picture.alt


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    view = fake_view(tmp_path, random_weights(full_table(seeds=1)))
    (group,) = groups(view)
    look = styles(variants(view))
    absent = [trade_off(group, costs(group)[0], look), task_bars(group, look)]
    assert all(isinstance(picture, Absent) and picture.reason.endswith(".") for picture in absent)
    table = view.table[view.table["variant"].isin(["single_task", "static_mtl"])]
    assert isinstance(claims(groups(fake_view(tmp_path, table))[0], look), Absent)


def test_whiskers_never_point_inwards() -> None:
    np.testing.assert_allclose(whiskers(Estimate(2.0, 1.5, 4.0)), [[0.5], [2.0]])
    np.testing.assert_allclose(whiskers(Estimate(1.0, 1.5, 4.0)), [[0.0], [3.0]])
    assert whiskers(Estimate(1.0)) is None
