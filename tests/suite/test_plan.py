"""From suites to cells: the matrix, what the plan adds, identity, selection."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from mtlbench import variants
from mtlbench.errors import SuiteError
from mtlbench.suite.load import load_suite
from mtlbench.suite.plan import plan_suite
from mtlbench.variants.base import Axis, Provenance
from mtlbench.variants.static_mtl import StaticMTL

BASE = """
suite: small
datasets: {name: scenes, size: [32, 32]}
tasks: [semseg, depth]
encoders: {name: vit, arch: nano, patch: 8}
variants: [single_task, static_mtl]
"""


class Adaptive(StaticMTL):
    """A variant with two axes and a reference."""

    name = "adaptive"
    reference = "static_mtl"
    axes: ClassVar = (
        Axis("keep", (1.0, 0.5), "call", "exact", is_budget=True),
        Axis("width", (1.0, 0.5), "build", "exact"),
    )
    provenance = Provenance("ours")


@pytest.fixture(autouse=True)
def _adaptive(monkeypatch):
    monkeypatch.setitem(variants.registry._targets, "adaptive", Adaptive)


def suite_of(tmp_path: Path, text: str = BASE, **changes: str):
    path = tmp_path / "suite.yaml"
    path.write_text(textwrap.dedent(text))
    return load_suite(str(path), [f"{key}={value}" for key, value in changes.items()])


def labels(plan):
    return [cell.label for cell in plan.cells]


def test_the_matrix_is_the_product(tmp_path):
    suite = suite_of(
        tmp_path, seeds="[0,1]", hardware="[{threads: 1},{batch: 4}]", tasks="[[semseg],[semseg,depth]]"
    )
    plan = plan_suite(suite)
    assert len(plan.cells) == 2 * 2 * 2 * 2
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)
    assert len(plan.groups()) == 8
    assert all(len(members) == 2 for members in plan.groups().values())


def test_axes_are_swept_over_their_product_or_their_own_grid(tmp_path):
    plan = plan_suite(suite_of(tmp_path, variants="[{name: adaptive, axes: {keep: [1.0, 0.5, 0.25]}}]"))
    points = [dict(cell.point) for cell in plan.cells if cell.variant.name == "adaptive"]
    assert len(points) == 3 * 2
    assert points[0] == {"keep": 1.0, "width": 1.0}


def test_missing_references_and_baselines_are_added_once(tmp_path):
    plan = plan_suite(suite_of(tmp_path, variants="[adaptive]"))
    roles = {cell.variant.name: cell.role for cell in plan.cells}
    assert roles == {"single_task": "baseline", "static_mtl": "reference", "adaptive": "requested"}
    by_id = {cell.id: cell for cell in plan.cells}
    for cell in plan.cells:
        if cell.variant.name == "adaptive":
            assert by_id[cell.reference_id].variant.name == "static_mtl"
            assert by_id[cell.baseline_ids["single_task"]].variant.name == "single_task"


def test_a_requested_baseline_is_not_added_again(tmp_path):
    for order in ("[single_task, adaptive]", "[adaptive, single_task]"):
        plan = plan_suite(suite_of(tmp_path, variants=order))
        singles = [cell for cell in plan.cells if cell.variant.name == "single_task"]
        assert [cell.role for cell in singles] == ["requested"]


def test_baselines_can_be_left_out(tmp_path):
    plan = plan_suite(suite_of(tmp_path, variants="[static_mtl]", baselines="[]"))
    assert [cell.variant.name for cell in plan.cells] == ["static_mtl"]


def test_identity_ignores_labels_and_effort_but_nothing_else(tmp_path):
    first = plan_suite(suite_of(tmp_path)).cells
    same = plan_suite(suite_of(tmp_path, suite="other", **{"measure.launches": "9"})).cells
    assert [cell.id for cell in first] == [cell.id for cell in same]
    cell = first[0]
    assert replace(cell, labels={}, role="baseline").id == cell.id
    for change in (
        "seeds=[1]",
        "hardware={batch: 2}",
        "training.epochs=3",
        "measure.inputs=3",
        "head={name: multiscale, width: 8}",
    ):
        key, _, value = change.partition("=")
        other = plan_suite(suite_of(tmp_path, **{key: value})).cells[0]
        assert other.id != cell.id, change


def test_adding_to_a_suite_changes_no_other_cell(tmp_path):
    before = {cell.id for cell in plan_suite(suite_of(tmp_path)).cells}
    after = {
        cell.id
        for cell in plan_suite(
            suite_of(tmp_path, seeds="[0,1]", variants="[single_task, static_mtl, adaptive]")
        ).cells
    }
    assert before < after


def test_what_a_dataset_lacks_is_unsupported_not_an_error(tmp_path):
    plan = plan_suite(suite_of(tmp_path, tasks="[human_parts]"))
    assert {cell.unsupported for cell in plan.cells} == {"scenes has no labels for human_parts"}
    assert plan.groups() == {}


def test_a_size_that_the_encoder_cannot_take_is_unsupported(tmp_path):
    plan = plan_suite(suite_of(tmp_path, **{"datasets.size": "[36, 36]"}))
    assert all("8" in (cell.unsupported or "") for cell in plan.cells)


def test_all_means_what_the_dataset_has(tmp_path):
    plan = plan_suite(suite_of(tmp_path, tasks="all"))
    assert plan.cells[0].problem.task_names == ("semseg", "depth", "normals", "saliency", "edge")


def test_only_keeps_what_its_cells_are_compared_with(tmp_path):
    plan = plan_suite(suite_of(tmp_path, variants="[static_mtl, adaptive]", seeds="[0,1]"))
    kept = plan.only("adaptive*s1")
    assert {cell.seed for cell in kept.cells} == {1}
    assert {cell.variant.name for cell in kept.cells} == {"adaptive", "static_mtl", "single_task"}
    assert plan.only("nothing like it").cells == ()
    chosen = plan.cells[-1]
    for pattern in (
        chosen.id[:8],
        chosen.label,
        chosen.label[:-1] + "?",
        chosen.variant_label + "/*",
    ):
        assert chosen.id in {cell.id for cell in plan.only(pattern).cells}, pattern


def test_task_sets_that_differ_in_order_are_one_cell(tmp_path):
    plan = plan_suite(suite_of(tmp_path, tasks="[[semseg, depth], [depth, semseg]]"))
    assert [cell.problem.task_names for cell in plan.cells] == [("semseg", "depth")] * 2


def test_a_refused_point_spoils_no_other_cell(tmp_path, monkeypatch):
    monkeypatch.setattr(Adaptive, "refuse", lambda self, point: "too much" if point["keep"] > 0.9 else None)
    plan = plan_suite(
        suite_of(tmp_path, variants="[{name: adaptive, axes: {keep: [1.0, 0.5], width: [1.0]}}]")
    )
    reasons = {cell.variant_label: cell.unsupported for cell in plan.cells}
    assert reasons == {
        "single_task": None,
        "static_mtl": None,
        "adaptive[keep=1.0,width=1.0]": "too much",
        "adaptive[keep=0.5,width=1.0]": None,
    }


def test_whole_numbers_on_an_axis_of_fractions_are_the_same_cell(tmp_path):
    one, other = (
        plan_suite(suite_of(tmp_path, variants="[{name: adaptive, axes: {keep: [" + value + "]}}]"))
        .cells[-1]
        .id
        for value in ("1", "1.0")
    )
    assert one == other


def test_the_resolved_suite_is_a_suite_with_the_same_cells(tmp_path):
    suite = suite_of(tmp_path, variants="[{name: adaptive, axes: {keep: [0.5]}}]", training="random")
    again = tmp_path / "resolved.yaml"
    again.write_text(suite.resolved())
    assert "drop_path" in suite.resolved()
    assert [c.id for c in plan_suite(load_suite(str(again))).cells] == [c.id for c in plan_suite(suite).cells]


def test_labels_tell_namesakes_apart(tmp_path):
    plan = plan_suite(
        suite_of(tmp_path, encoders="[{name: vit, arch: nano, patch: 8},{name: vit, arch: nano, patch: 16}]")
    )
    assert len(set(labels(plan))) == len(plan.cells)
    assert any("patch16" in label for label in labels(plan))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (BASE + "trainning: {}\n", "7:1", "training"),
        (BASE.replace("size: [32, 32]", "sise: [32, 32]"), "3:26", "size"),
        (BASE.replace("static_mtl", "static_mlt"), "6:25", "static_mtl"),
        (BASE.replace("[semseg, depth]", "[semseg, dept]"), "4:17", "depth"),
        (BASE.replace("arch: nano", "arch: nanno"), "5:29", "nano"),
        (BASE + "measure: {launches: six}\n", "7:21", "launches"),
        (BASE + "variants: [static_mtl]\n", "7:1", "twice"),
        (BASE.replace("[single_task, static_mtl]", "[{name: adaptive, axes: {kep: [1]}}]"), "6:", "keep"),
        (BASE.replace("[semseg, depth]", "[[]]"), "4:", "tasks"),
        (BASE.replace("[semseg, depth]", "[semseg, semseg]"), "4:", "twice"),
        (
            BASE.replace("[single_task, static_mtl]", "[{name: adaptive, axes: {keep: [all]}}]"),
            "6:",
            "number",
        ),
        (BASE + "training: {weighting: uncertainty, task_weights: {depth: 2}}\n", "7:", "fixed"),
        (BASE + "measure: {energy: rapl}\n", "7:19", "pyrapl"),
        (BASE + "training: {task_weights: {dept: 2}}\n", "7:", "depth"),
    ],
)
def test_bad_input_names_the_place_and_the_nearest_name(tmp_path, text, place, words):
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, text)
    message = str(caught.value)
    assert f"suite.yaml:{place}" in message
    assert words in message
    assert caught.value.exit_code == 2


def test_every_way_of_asking_is_a_row_with_the_same_weights(tmp_path):
    plan = plan_suite(suite_of(tmp_path, ask="[all, each]", variants="[static_mtl]"))
    static = {cell.asked_names: cell for cell in plan.cells if cell.variant.name == "static_mtl"}
    assert set(static) == {("semseg", "depth"), ("semseg",), ("depth",)}
    whole = static["semseg", "depth"]
    assert all(cell.problem == whole.problem for cell in static.values())
    assert {cell.whole_id for cell in static.values()} == {whole.id}
    assert len({cell.id for cell in static.values()}) == 3


def test_asking_for_everything_changes_no_id(tmp_path):
    plain = plan_suite(suite_of(tmp_path))
    asked = plan_suite(suite_of(tmp_path, ask="[[depth, semseg], all]"))
    assert [cell.id for cell in asked.cells] == [cell.id for cell in plain.cells]
    assert all("asked" not in cell.specification for cell in asked.cells)


def test_single_task_networks_that_are_not_asked_for_are_left_out(tmp_path):
    plan = plan_suite(suite_of(tmp_path, ask="each", variants="[static_mtl]"))
    single = [cell for cell in plan.cells if cell.variant.name == "single_task"]
    assert {cell.problem.task_names for cell in single} == {("semseg",), ("depth",)}
    assert all(cell.asked is None for cell in single)
    alone = plan_suite(suite_of(tmp_path, tasks="[[semseg]]", variants="[single_task]"))
    assert alone.cells[0].id in {cell.id for cell in single}
    static = next(cell for cell in plan.cells if cell.asked == ("depth",))
    baseline = next(cell for cell in single if cell.id == static.baseline_ids["single_task"])
    assert baseline.problem.task_names == ("depth",)
    assert baseline.group == static.group


def test_a_reference_is_asked_for_the_same_tasks(tmp_path):
    plan = plan_suite(suite_of(tmp_path, ask="[[depth]]", variants="[adaptive]"))
    adaptive = [cell for cell in plan.cells if cell.variant.name == "adaptive"]
    by_id = {cell.id: cell for cell in plan.cells}
    assert adaptive
    assert all(by_id[cell.reference_id].asked == ("depth",) for cell in adaptive)


def test_asking_for_an_untrained_task_is_unsupported(tmp_path):
    plan = plan_suite(suite_of(tmp_path, ask="[[semseg, normals]]", baselines="[]"))
    assert all("normals" in cell.unsupported for cell in plan.cells)


def test_a_variant_that_runs_all_tasks_or_none_refuses_a_subset(tmp_path, monkeypatch):
    monkeypatch.setattr(Adaptive, "task_subset", "all_only")
    plan = plan_suite(suite_of(tmp_path, ask="[all, [depth]]", variants="[adaptive]"))
    refused = [cell for cell in plan.cells if cell.unsupported]
    assert {(cell.variant.name, cell.asked) for cell in refused} == {("adaptive", ("depth",))}
    assert "cannot run depth alone" in refused[0].unsupported


def test_task_sets_by_dataset(tmp_path):
    text = BASE.replace(
        "datasets: {name: scenes", "datasets:\n- {name: clothing, size: [32, 32]}\n- {name: scenes"
    )
    text = text.replace("tasks: [semseg, depth]", "tasks: {scenes: [[depth], [semseg, depth]]}")
    plan = plan_suite(suite_of(tmp_path, text, variants="[static_mtl]", baselines="[]"))
    tasks = {(cell.dataset.name, cell.tasks_label) for cell in plan.cells}
    assert ("scenes", "depth") in tasks
    assert ("scenes", "semseg+depth") in tasks
    assert len([name for name, _ in tasks if name == "clothing"]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": "{scene: all}"}, "not among the datasets"),
        ({"tasks": "{scenes: [semseq]}"}, "semseg"),
        ({"ask": "[semseq]"}, "semseg"),
        ({"ask": "[each, each]"}, "twice"),
        ({"encoders": "'vit:tiny'"}, "nothing after a colon"),
    ],
)
def test_bad_task_sets_and_ways_of_asking_are_named(tmp_path, change, words):
    with pytest.raises(SuiteError) as raised:
        suite_of(tmp_path, **change)
    assert words in f"{raised.value} {raised.value.fix}"
