from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_run import fake_view, full_table, random_weights
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.report.frame import RunView
from mtlbench.report.fronts import on_front, settled
from mtlbench.report.gaps import gaps, warned
from mtlbench.report.groups import groups
from mtlbench.report.overview import headline
from mtlbench.report.points import costs
from mtlbench.report.prose import answer


def tiny(**columns: list[Any]) -> RunView:
    return RunView(Path("run"), {}, pd.DataFrame(columns))


def three(latency: list[float], half: float | None) -> RunView:
    bounds = (
        {}
        if half is None
        else {
            "latency_ms.ci_low": [value - half for value in latency],
            "latency_ms.ci_high": [value + half for value in latency],
        }
    )
    return tiny(variant=["single_task", "static_mtl", "adamtl"], latency_ms=latency, **bounds)


def test_a_settled_order_names_the_fastest() -> None:
    said = answer(groups(three([30, 20, 10], 1))[0])
    assert said.sentence == "adamtl is the fastest of 3 ways: 10.0 [9.0, 11.0] ms per call."
    assert "adamtl takes 33.3 % of the latency of the single-task networks." in said.evidence


def test_a_way_is_one_way_whatever_tasks_it_was_trained_for() -> None:
    tasks = ["a+b"] * 3 + ["a"] * 3
    trained = ["a+b"] * 3 + ["a", "a+b", "a+b"]
    names = ["single_task", "static_mtl", "exit"] * 2
    latency = [30.0, 20.0, 10.0] * 2
    bounds = {f"latency_ms.ci_{end}": [x + step for x in latency] for end, step in (("low", -1), ("high", 1))}
    view = tiny(tasks=tasks, trained_tasks=trained, variant=names, latency_ms=latency, **bounds)
    every = [answer(group) for group in groups(view)]
    assert [said.best.label for said in every if said.best] == ["exit", "exit trained on a + b"]
    assert headline(every) == "Least costly by a clear margin, of 2 settings: exit in 2."


def test_overlapping_intervals_settle_nothing() -> None:
    sentence = answer(groups(three([30, 11, 10], 1))[0]).sentence
    assert "is not settled between adamtl" in sentence
    assert "static_mtl" in sentence
    assert "single_task" not in sentence
    assert sentence.endswith("their intervals overlap.")


def test_without_intervals_nothing_is_settled() -> None:
    assert "may be noise" in answer(groups(three([30, 20, 10], None))[0]).sentence


def test_counts_need_no_interval() -> None:
    view = tiny(variant=["a", "b", "c"], macs_executed=[3e6, 2e6, 5e6])
    assert answer(groups(view)[0]).sentence == "b is the cheapest of 3 ways: 2.00 MMACs per image."
    equal = tiny(variant=["a", "b", "c"], macs_executed=[2e6, 2e6, 5e6])
    sentence = answer(groups(equal)[0]).sentence
    assert sentence.endswith("their counts are equal.")
    assert "c (" not in sentence


@pytest.mark.parametrize("column", ["macs_executed", "macs_nominal", "macs_reference"])
def test_the_count_that_exists_is_named(column: str) -> None:
    (cost,) = costs(groups(tiny(variant=["a"], **{column: [1e6]}))[0])
    assert cost.title == f"{column.removeprefix('macs_')} MACs"


def test_nothing_measured_is_said() -> None:
    assert "no cost was measured" in answer(groups(tiny(variant=["a"]))[0]).sentence
    failed = tiny(variant=["a", "b"], status=["failed", "skipped"], latency_ms=[1.0, 2.0])
    assert answer(groups(failed)[0]).sentence == "Nothing can be said: none of the 2 cells finished."
    assert "nothing to compare" in answer(groups(tiny(variant=["a"], latency_ms=[3.0]))[0]).sentence


def test_delta_m_that_includes_zero_is_not_called_a_loss(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    wide = table.assign(**{"delta_m.ci_low": table["delta_m"] - 9, "delta_m.ci_high": table["delta_m"] + 9})
    assert any(
        "is less accurate" in sentence for sentence in answer(groups(fake_view(tmp_path, table))[0]).evidence
    )
    said = answer(groups(fake_view(tmp_path, wide))[0]).evidence
    assert any("not told apart from zero" in sentence for sentence in said)
    assert not any("is less accurate" in sentence for sentence in said)


def test_the_measured_ratio_to_single_task_is_preferred(tmp_path: Path) -> None:
    table = full_table(seeds=1).assign(
        **{
            "latency_vs_single_task": 0.5,
            "latency_vs_single_task.ci_low": 0.4,
            "latency_vs_single_task.ci_high": 0.6,
        }
    )
    assert "50 [40, 60] % of the latency" in answer(groups(fake_view(tmp_path, table))[0]).evidence[0]


box = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 6), st.integers(0, 3))


def on_front_of(points: list[tuple[float, float]], index: int) -> bool:
    cost, quality = points[index]
    return not any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)


@given(st.lists(box, min_size=2, max_size=4))
def test_a_settled_place_on_the_front_holds_at_every_corner_of_the_intervals(
    boxes: list[tuple[int, ...]],
) -> None:
    cost, gain = (
        np.array([[b[centre], b[centre] - b[half], b[centre] + b[half]] for b in boxes], dtype=float)
        for centre, half in ((0, 1), (2, 3))
    )
    corners = [list(product((b[0] - b[1], b[0] + b[1]), (b[2] - b[3], b[2] + b[3]))) for b in boxes]
    now = on_front(cost, gain)
    sure = settled(cost, gain, now)
    for index in range(len(boxes)):
        assert now[index] == on_front_of([(b[0], b[2]) for b in boxes], index)
        if sure[index]:
            strict = {on_front_of(list(world), index) for world in product(*corners)}
            assert strict == {now[index]}


def test_what_has_no_interval_settles_nothing() -> None:
    cost, gain = np.array([[1.0, 0.9, 1.1], [2.0, np.nan, np.nan], [3.0, 2.9, 3.1]]), np.zeros((3, 3))
    on = on_front(cost, gain)
    assert list(on) == [True, False, False]
    assert list(settled(cost, gain, on)) == [False, False, True]


def test_gaps_name_each_reason_once(tmp_path: Path) -> None:
    said = gaps(fake_view(tmp_path))
    assert "1 cell of adamtl failed: the worker was killed: out of memory." in said
    assert "1 cell of adamtl unsupported: adamtl has no int8 path." in said
    assert "There is no energy: RAPL cannot be read: permission denied." in said
    assert "A claim about a trained method needs 3 seeds; this run has 2." in said
    assert len(said) == len(set(said)) == 4


def test_gaps_of_an_untrained_run_do_not_ask_for_seeds(tmp_path: Path) -> None:
    said = gaps(fake_view(tmp_path, random_weights(full_table())))
    assert "There is no delta-m: the weights are random, so there is no accuracy." in said
    assert "No accuracy was measured, so only costs can be compared." in said
    assert not any("needs 3 seeds" in sentence for sentence in said)


def test_missing_intervals_and_uncounted_operators_are_gaps(tmp_path: Path) -> None:
    table = full_table(seeds=1).assign(**{"latency_ms.ci_low": np.nan, "uncounted_ops": "aten::fft"})
    said = gaps(fake_view(tmp_path, table))
    assert "Latency has no interval in 6 of 6 finished cells." in said
    assert any("without a formula" in sentence for sentence in said)
    assert gaps(fake_view(tmp_path, table.iloc[:0])) == ["The run has no cells."]


def test_warnings_become_sentences(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    table["warnings"] = ["steal_time; few_launches"] + ["steal_time"] * 3 + ["odd"] + [""] * (len(table) - 5)
    found = {warning.code: warning for warning in warned(fake_view(tmp_path, table))}
    assert set(found) == {"steal_time", "few_launches", "odd"}
    assert found["steal_time"].sentence.startswith("Another tenant")
    assert found["steal_time"].where.startswith("4 of 8 cells (")
    assert found["odd"].sentence == "The run has no sentence for this code."
