from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_run import TASKS, fake_view, full_table, hostile
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from section_checks import check_figures, static_alone, with_copies

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.colours import OKABE_ITO, styles
from mtlbench.report.frame import RunView, variants
from mtlbench.report.groups import groups
from mtlbench.report.section import Section
from mtlbench.report.sections._part_bands import Family, band_table, bands
from mtlbench.report.sections._part_memory import memory_shares
from mtlbench.report.sections._tasks_stacks import NOTHING, ramp
from mtlbench.report.sections._tasks_stacks import TASKS as TASK_FILLS
from mtlbench.report.sections.parts import section
from mtlbench.report.svg import inline_svg
from mtlbench.report.tables import Table

VIT = ["encoder", "encoder.stem", *(f"encoder.block.{i}" for i in range(24))]
SWIN = [
    "encoder.stem",
    *(f"encoder.stage.{s}.block.{b}" for s, n in enumerate((2, 2, 6, 2)) for b in range(n)),
]


def names(parts: list[str], tasks: tuple[str, ...] = TASKS) -> list[str]:
    return [band.name for band in bands(parts, tasks)]


def test_a_deep_transformer_becomes_six_even_stretches() -> None:
    found = bands(VIT, ())
    assert [band.name for band in found] == [
        "stem",
        *(f"blocks {i}–{i + 3}" for i in range(0, 24, 4)),
        "rest of encoder",
    ]
    assert found[3].parts == tuple(f"encoder.block.{i}" for i in range(8, 12))


def test_stages_stay_stages_with_everything_inside_them() -> None:
    found = bands([*SWIN, "encoder.stage.1.merge", "encoder.stage.3"], ())
    assert [band.name for band in found] == ["stem", "stage 0", "stage 1", "stage 2", "stage 3"]
    assert "encoder.stage.1.merge" in found[2].parts
    assert "encoder.stage.3" in found[4].parts


def test_an_encoder_in_one_piece_is_called_so() -> None:
    assert names(["encoder"]) == ["encoder"]
    assert names(["encoder", "encoder.2", "encoder.3"]) == ["encoder"]


def test_heads_follow_the_tasks_and_unknown_parts_are_other() -> None:
    parts = ["other", "adapter.a", "sharing", "policy", "head.normals", "head.semseg", "encoder", "head.b.c"]
    found = bands(parts, TASKS)
    expected = ["encoder", "head semseg", "head normals", "head b.c", "policy", "sharing", "other"]
    assert [band.name for band in found] == expected
    assert found[-1].parts == ("adapter.a", "other")


part_names = st.sampled_from(
    [*VIT, *SWIN, "encoder.layer.7", "encoder.norm", "head.x", "policy", "sharing", "other", "", "."]
)


@given(st.lists(part_names, unique=True), st.randoms())
def test_every_part_is_in_exactly_one_band_whatever_the_order(parts: list[str], random: Any) -> None:
    found = bands(parts, ("x",))
    assert Counter(part for band in found for part in band.parts) == Counter(parts)
    assert sum(band.family is Family.ENCODER for band in found) <= 6
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert bands(shuffled, ("x",)) == found


def test_bands_add_up_and_a_missing_part_is_zero() -> None:
    points = pd.DataFrame(
        {
            "p.encoder.block.0": [1.0, 2.0, np.nan],
            "p.encoder.block.1": [4.0, np.nan, np.nan],
            "p.head.a": [8.0, 16.0, np.nan],
            "p.policy": [np.nan, 32.0, np.nan],
        }
    )
    found = bands([str(name).removeprefix("p.") for name in points], ("a",), most=1)
    table = band_table(points, "p.", found)
    np.testing.assert_array_equal(table.to_numpy()[:2], [[5, 8, 0], [2, 16, 32]])
    assert table.loc[2].isna().all()


def test_memory_adds_up_to_the_peak() -> None:
    points = pd.DataFrame(
        {
            "memory_peak_mib": [100.0, 100.0, np.nan, 10.0],
            "weights_mib": [30.0, 30.0, 30.0, 30.0],
            "cache_mib": [np.nan, 20.0, 1.0, np.nan],
        }
    )
    found = memory_shares(points)
    assert list(found.index) == [0, 1, 3]
    np.testing.assert_array_equal(found.to_numpy(), [[30, 0, 70], [30, 20, 50], [30, 0, 0]])


def test_fills_are_no_variants_colours_and_carry_dark_words() -> None:
    """Chroma and WCAG contrast, from their definitions."""
    fills = [fill.colour for fill in (*ramp(8), *TASK_FILLS) if fill.colour != NOTHING]
    least = min(np.ptp(to_rgb(colour)) for colour in OKABE_ITO.values())
    for colour in fills:
        assert np.ptp(to_rgb(colour)) < 0.6 * least
        assert contrast(colour, "#12161b") > 4.5
    lightness = [luminance(fill.colour) for fill in ramp(8)]
    assert lightness == sorted(lightness, reverse=True)
    assert len(set(TASK_FILLS)) == len(TASK_FILLS)


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(first: str, second: str) -> float:
    high, low = sorted([luminance(first), luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


# --- the section -----------------------------------------------------------------------------------------------

HEAD = 2.0e9


def with_parts(table: pd.DataFrame, tasks: tuple[str, ...] = TASKS, blocks: int = 12) -> pd.DataFrame:
    """An encoder of 12 GMACs (one for each single-task network), heads of 2; heads take twice their share of time."""
    out = table.copy()
    encoders = np.where(out["variant"] == "single_task", len(tasks), 1)
    columns: dict[str, Any] = {
        f"macs_part.encoder.block.{i}": encoders * 12e9 / blocks for i in range(blocks)
    }
    columns |= {f"macs_part.head.{task}": HEAD for task in tasks}
    columns["macs_part.policy"] = np.where(out["variant"] == "adamtl", 0.5e9, np.nan)
    for name in list(columns):
        part = name.removeprefix("macs_part.")
        columns[f"time_part.{part}"] = np.asarray(columns[name]) * (2e-9 if "head" in part else 1e-9)
        columns[f"weights_part_mib.{part}"] = np.asarray(columns[name]) * 1e-9
    columns["time_distortion"] = 0.04
    ok = out["status"] == "ok"
    added = pd.DataFrame(
        {name: pd.Series(values, index=out.index).where(ok) for name, values in columns.items()}
    )
    total = added.filter(like="macs_part.").sum(axis="columns")
    return pd.concat([out.assign(macs_executed=total.where(ok), cache_mib=np.nan), added], axis="columns")


def rich_view(folder: Path, seeds: int = 1, tasks: tuple[str, ...] = TASKS) -> RunView:
    return fake_view(folder, with_parts(full_table(tasks, seeds), tasks))


def built(view: RunView) -> Section:
    found = section(view, groups(view)[0], styles(variants(view)))
    assert found is not None
    return found


def test_leads_are_findings_with_numbers(tmp_path: Path) -> None:
    said = " ".join(built(rich_view(tmp_path)).lead)
    assert "static_mtl spends its executed MACs like this: 55 % in the encoder and 45 % in heads." in said
    assert "Encoders take 60.0 GMACs per image in the single-task networks, 12.0 in static_mtl." in said
    assert "In static_mtl, heads take 62 % of the time for 45 % of the MACs." in said
    assert "changed the time of the calls themselves by 4.0 %" in said
    assert "2.2 % in policy" in said


def test_the_part_that_departs_most_is_named_also_where_it_takes_less(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    heads = [name for name in view.table if str(name).startswith("time_part.head.")]
    table = view.table.copy()
    table[heads] = 0.4
    table["time_part.policy"] *= 4
    said = " ".join(built(replace(view, table=table)).lead)
    assert "In adamtl at keep_ratio 1, heads take 12 % of the time for 44 % of the MACs." in said


def test_pieces_are_per_cent_of_each_way(tmp_path: Path) -> None:
    picture = next(shown for shown in built(rich_view(tmp_path)).blocks if isinstance(shown, Drawing))
    axes, side = picture.figure.axes
    rows: dict[int, list[float]] = {}
    for piece in axes.patches:
        place = round(piece.get_y() + piece.get_height() / 2)  # type: ignore[attr-defined]  # bars are rectangles
        rows.setdefault(place, []).append(piece.get_width())  # type: ignore[attr-defined]
    assert [sum(widths) for widths in rows.values()] == pytest.approx([100.0] * 6)
    assert rows[1][:6] == pytest.approx([200 / 22] * 6)
    assert rows[1][6:] == pytest.approx([200 / 22] * 5 + [0.0])
    whole = [bar.get_width() for bar in side.patches]  # type: ignore[attr-defined]
    assert whole == pytest.approx([70.0, 22.0, 22.5, 22.5, 22.0, 22.0])


def test_the_table_holds_shares_and_the_whole(tmp_path: Path) -> None:
    tables = [shown for shown in built(rich_view(tmp_path)).blocks if isinstance(shown, Table)]
    assert [table.caption for table in tables] == [
        "Executed MACs by part per image",
        "Time by part per call",
        "Weights by part",
    ]
    static = next(row for row in tables[0].rows if row.variant == "static_mtl")
    assert [entry.text for entry in static.entries][2:] == ["22.0", *["9.1"] * 6, *["9.1"] * 5, "0"]
    assert tables[0].headers[3].hint == "Share of executed MACs in encoder.block.0 and encoder.block.1."
    assert all(len(row.entries) == len(table.headers) for table in tables for row in table.rows)


def test_parts_that_miss_the_total_say_so(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    table = view.table.assign(macs_executed=view.table["macs_executed"] / 0.9)
    pictures = [shown for shown in built(replace(view, table=table)).blocks if isinstance(shown, Drawing)]
    assert "add up to 90 % of the column `macs_executed`" in pictures[0].caption
    assert "macs_executed" not in next(s for s in built(view).blocks if isinstance(s, Drawing)).caption


def test_what_is_missing_is_absent_with_a_reason(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    kept = [name for name in view.table if not str(name).startswith(("time_part", "weights_part"))]
    absent = [
        shown for shown in built(replace(view, table=view.table[kept])).blocks if isinstance(shown, Absent)
    ]
    assert [shown.reason for shown in absent] == [
        "Time by part was not measured in this run.",
        "Weights by part were not recorded in this run.",
    ]
    none = built(fake_view(tmp_path, full_table(seeds=1).drop(columns=["weights_mib"])))
    assert all(isinstance(shown, Absent) for shown in none.blocks)
    assert "not recorded" in none.lead[0]


def test_a_way_without_parts_is_listed_and_not_drawn(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    table = view.table.copy()
    table.loc[table["variant"] == "static_mtl", [n for n in table if str(n).startswith("macs_part.")]] = (
        np.nan
    )
    picture, first = built(replace(view, table=table)).blocks[:2]
    assert isinstance(picture, Drawing)
    assert "static_mtl" not in [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert isinstance(first, Table)
    assert {entry.text for row in first.rows if row.variant == "static_mtl" for entry in row.entries[2:]} == {
        "-"
    }


def test_nothing_finished_means_no_section(tmp_path: Path) -> None:
    view = fake_view(tmp_path, full_table(seeds=1).assign(status="failed"))
    assert section(view, groups(view)[0], styles(variants(view))) is None


def many_ways(tmp_path: Path) -> RunView:
    return fake_view(tmp_path, with_copies(with_parts(full_table(seeds=1), blocks=24), 249))


def odd_names(tmp_path: Path) -> RunView:
    table = rich_view(tmp_path, seeds=2).table.rename(
        columns=lambda name: name.replace("head.edge", "head.$x$<b>" + "y" * 80)
    )
    return fake_view(tmp_path, hostile(table).replace({"variant": {"static_mtl": "z" * 300}}))


def one_way(tmp_path: Path) -> RunView:
    return static_alone(rich_view(tmp_path, tasks=("semseg",)))


def bare(tmp_path: Path) -> RunView:
    return fake_view(tmp_path, full_table(seeds=1)[["variant", "cell_id"]])


def text_in_numbers(tmp_path: Path) -> RunView:
    view = rich_view(tmp_path)
    odd: dict[str, Any] = {"macs_part.policy": "n/a", "time_distortion": np.inf, "weights_mib": -np.inf}
    return replace(view, table=view.table.assign(**odd))


@pytest.mark.parametrize("view", [rich_view, many_ways, odd_names, one_way, bare, text_in_numbers])
def test_every_run_gives_figures_that_fit(tmp_path: Path, view: Any) -> None:
    found = built(view(tmp_path))
    assert found.lead
    check_figures(found, highest_px=900)


def test_many_ways_are_thinned(tmp_path: Path) -> None:
    found = built(many_ways(tmp_path))
    picture, table = found.blocks[:2]
    assert isinstance(picture, Drawing)
    assert "16 of 250 ways are drawn" in picture.caption
    assert isinstance(table, Table)
    assert len(table.rows) == 200
    assert "200 of 250 ways are listed" in table.absent[0]


def test_hatches_survive_the_way_into_the_page_and_stay_small(tmp_path: Path) -> None:
    for shown in built(rich_view(tmp_path)).blocks:
        if isinstance(shown, Drawing):
            svg = str(inline_svg(shown))
            ids = set(re.findall(r' id="([^"]+)"', svg))
            assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids
            assert not re.findall(r'fill="#(?![0-9a-fA-F]{6}")', svg)
            assert len(svg) < 120_000
