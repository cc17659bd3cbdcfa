from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench.report.canvas import (
    Margins,
    drawing,
    estimates,
    plain_ticks,
    set_margins,
    shorten,
    strokes,
    symbols,
    whiskers,
)
from mtlbench.report.frame import Estimate


def test_whiskers_never_point_inwards() -> None:
    np.testing.assert_allclose(whiskers(Estimate(2.0, 1.5, 4.0)), [[0.5], [2.0]])
    np.testing.assert_allclose(whiskers(Estimate(1.0, 1.5, 4.0)), [[0.0], [3.0]])
    assert whiskers(Estimate(1.0)) is None


def test_estimates_scale_and_never_point_inwards() -> None:
    frame = pd.DataFrame(
        {"t": [2.0, 1.0, 3.0, "x"], "t.ci_low": [1.5, 1.5, None, 1], "t.ci_high": [4.0, 4.0, 5.0, 2]}
    )
    nan = np.nan
    expected = [[20, 15, 40], [10, 10, 40], [30, nan, nan], [nan, nan, nan]]
    np.testing.assert_array_equal(estimates(frame, "t", 10)[:3], expected[:3])
    assert np.isnan(estimates(frame, "t")[3, 0])
    assert np.isnan(estimates(frame, "missing")).all()


def test_strokes_are_as_many_lines_as_whiskers_with_a_limit() -> None:
    along, across = strokes(
        np.array([1.0, np.nan, 3.0]), np.array([2.0, np.nan, 5.0]), np.array([7.0, 8.0, 9.0])
    )
    np.testing.assert_array_equal(along, [1, 2, np.nan, np.nan, np.nan, np.nan, 3, 5, np.nan])
    np.testing.assert_array_equal(across[[0, 1, 6, 7]], [7, 7, 9, 9])


@pytest.mark.parametrize("name", ["a" * 200, "a\nb", "\x07bell", "名前"])
def test_shortened_names_are_one_printable_line(name: str) -> None:
    shown = shorten(name, 20)
    assert 0 < len(shown) <= 20
    assert shown.isprintable()


def test_panels_stand_where_the_margins_say() -> None:
    with drawing():
        figure = Figure(figsize=(6, 4))
        panels = figure.subplots(2, 3, squeeze=False)
        set_margins(figure, panels, Margins(0.6, 0.2, 0.5, 0.3, 0.4, 0.8))
        figure.draw_without_rendering()
    first, last = panels[0, 0].get_position(), panels[1, 2].get_position()
    assert first.x0 * 6 == pytest.approx(0.6)
    assert first.y1 * 4 == pytest.approx(4 - 0.3)
    assert last.x1 * 6 == pytest.approx(6 - 0.2)
    assert last.y0 * 4 == pytest.approx(0.5)
    assert (panels[0, 1].get_position().x0 - first.x1) * 6 == pytest.approx(0.4)
    assert (first.y0 - panels[1, 0].get_position().y1) * 4 == pytest.approx(0.8)


def test_the_key_is_as_high_as_it_says() -> None:
    with drawing():
        for names in (["a"], [f"a rather long name {number}" for number in range(9)]):
            figure = Figure(figsize=(5, 4), layout="constrained")
            figure.subplots()
            said = symbols(figure, {name: Line2D([], [], color="k") for name in names})
            figure.draw_without_rendering()
            assert figure.legends[0].get_window_extent().height / figure.dpi <= said


def test_ticks_are_plain_numbers_on_both_kinds_of_axis() -> None:
    with drawing():
        axes = Figure().subplots()
        axes.set_xlim(0.02, 30)
        axes.set_xscale("log")
        for way in ("x", "y"):
            plain_ticks(axes, way)  # type: ignore[arg-type]  # the loop widens the literal
        axes.figure.draw_without_rendering()
    labels = [tick.get_text() for tick in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    assert any(labels)
    assert all(float(label) >= 0 for label in labels if label)
