"""Which inputs are kept for the report, and whether what is kept is what was evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import SUITE, command, write_suite
from toy_adaptive import Halting, ToyAdaptive, install

from mtlbench import load_results
from mtlbench.cli.report import open_view
from mtlbench.data.base import Sample as DataSample
from mtlbench.execute.jobs.pictures import choose, keep_pictures
from mtlbench.report.colours import styles
from mtlbench.report.frame import variants
from mtlbench.report.groups import groups
from mtlbench.report.pictures import Sample
from mtlbench.report.sections.inputs import section
from mtlbench.tasks import registry
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named, Problem

SIZE = (32, 48)
RANKS = ("cheapest", "median", "dearest")
CLASSES = ["wall", "floor", "thing"]
TASKS = {"semseg": {"classes": CLASSES}, "depth": {}, "edge": {}}


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_chosen_inputs_are_spread_by_position_and_ranked_by_cost(macs):
    roles = choose([float(cost) for cost in macs])
    spread = [i for i, why in roles.items() if "spread" in why]
    assert spread == [i for i, why in choose([1.0] * len(macs)).items()]  # whatever inputs cost
    assert len(roles) <= 6
    ranked = {role: macs[i] for i, why in roles.items() for role in why if role != "spread"}
    if min(macs) == max(macs):
        assert ranked == {}
    else:
        middle = sorted(macs)[(len(macs) - 1) // 2]
        assert ranked == {"cheapest": min(macs), "median": middle, "dearest": max(macs)}


def test_spread_inputs_are_the_middles_of_thirds():
    assert sorted(choose([1.0] * 200)) == [33, 100, 166]
    assert sorted(choose([1.0])) == [0]


class Contrasts:
    """Images of which number i has i blocks of noise in the corner and is flat elsewhere."""

    def __init__(self, size=SIZE, label_all=True):
        self.size, self.label_all = size, label_all

    def sample(self, split, index):
        assert split == "test"
        height, width = self.size
        rng = np.random.default_rng(index)
        image = np.full((height, width, 3), 90, np.uint8)
        side = 8 * (index % 5)
        image[:side, :side] = rng.integers(0, 255, (side, side, 3))
        labels = {
            "semseg": rng.integers(0, 3, self.size).astype(np.uint8),
            "depth": rng.uniform(1, 4, self.size).astype(np.float32),
            "edge": rng.integers(0, 2, self.size).astype(np.uint8),
        }
        if not self.label_all and index % 2:
            del labels["depth"]
        return DataSample(f"test/{index}", image, labels)


class Remembers(Halting):
    """Believes in another class with every frame of a clip."""

    def __init__(self, *given):
        super().__init__(*given)
        self.frame = 0

    def __call__(self, x, decisions=None):
        predictions, trace = super().__call__(x, decisions)
        self.frame += 1
        predictions["semseg"][:, self.frame % len(CLASSES)] += 10
        return predictions, trace

    def reset(self):
        self.frame = 0


def evaluated(dataset, count=11, batch=4, halts=True, clips=None):
    """A stand-in for a cell, a runnable, and what an evaluation of `count` images finds.

    `clips` are the first images of clips, for a network that remembers.
    """
    tasks = {name: registry.get(name)(**options) for name, options in TASKS.items()}
    encoder = Named("vit", {"arch": "nano", "patch": 8})
    named = tuple(Named(name, options) for name, options in TASKS.items())
    variant = ToyAdaptive(Problem(dataset.size, encoder, Named("multiscale", {"width": 8}), named))
    variant.build({"keep": 1.0}, 0, None)
    runnable = variant.configure({"keep": 0.5 if halts else 1.0})
    starts = range(count) if clips is None else clips
    cell = SimpleNamespace(dataset=dataset, batch=batch, tasks=tasks, normaliser=lambda: prepare)
    cell.starts_clip = lambda call: any(i in starts for i in range(call * batch, (call + 1) * batch))
    if clips is not None:
        runnable = Remembers(runnable.network, runnable.tasks, 0.5 if halts else 1.0)
    rows = []
    for i in range(count):
        if i in starts:
            runnable.reset()
        sample = dataset.sample("test", i)
        predictions, trace = runnable(prepare(sample.image[None]))
        row = {"macs_nominal": trace.nominal_macs(runnable.units())[0]}
        for name, task in tasks.items():
            label = sample.labels.get(name, task.empty_label(*dataset.size))
            row[f"statistics.{name}"] = task.statistics(predictions[name].numpy(), label[None])[0].tolist()
        rows.append(row)
    return cell, runnable, rows


def prepare(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255 * 4 - 2)


def kept(tmp_path, dataset, **how):
    path = tmp_path / "cell.pictures.npz"
    with torch.inference_mode():
        cell, runnable, rows = evaluated(dataset, **how)
        keep_pictures(cell, runnable, rows, path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    assert list(tmp_path.iterdir()) == [path]
    return json.loads(str(arrays.pop("facts"))), arrays, rows


@pytest.mark.parametrize(("batch", "clips"), [(1, None), (4, None), (1, [0, 4, 6])])
def test_pictures_are_of_what_was_evaluated(tmp_path, batch, clips):
    dataset = Contrasts()
    facts, arrays, rows = kept(tmp_path, dataset, batch=batch, clips=clips)
    assert [one["index"] for one in facts["inputs"]] == sorted(choose([row["macs_nominal"] for row in rows]))
    semseg = registry.get("semseg")(classes=CLASSES)
    for k, one in enumerate(facts["inputs"]):
        row, sample = rows[one["index"]], dataset.sample("test", one["index"])
        assert one["id"] == sample.id
        assert one["macs_nominal"] == pytest.approx(row["macs_nominal"])
        np.testing.assert_array_equal(arrays[f"image.{k}"], sample.image)
        np.testing.assert_array_equal(arrays[f"label.semseg.{k}"], semseg.render(sample.labels["semseg"]))
        own = semseg.metrics(np.array(row["statistics.semseg"]))
        assert one["quality"]["semseg"] == pytest.approx(own["miou"])
        assert arrays[f"errors.semseg.{k}"].mean() / 254 == pytest.approx(1 - own["pixel_accuracy"])
        wrong = (arrays[f"prediction.semseg.{k}"] != arrays[f"label.semseg.{k}"]).any(axis=-1)
        np.testing.assert_array_equal(arrays[f"errors.semseg.{k}"], 254 * wrong)
    assert facts["primary"] == {"semseg": "miou", "depth": "rmse_m", "edge": "ods_pixel_f"}
    assert [name for name, _ in facts["legends"]["semseg"]] == CLASSES


def test_kept_tokens_are_those_of_the_call_that_is_shown(tmp_path):
    facts, arrays, _ = kept(tmp_path, Contrasts())
    by_role = {role: (k, one) for k, one in enumerate(facts["inputs"]) for role in one["roles"]}
    whole, shares = (
        255,
        [arrays[f"kept.all.{by_role[role][0]}"] for role in RANKS],
    )
    assert [share.shape for share in shares] == [(4, 6)] * 3
    assert [(share == whole).sum() for share in shares] == [0, 4, 16]  # blocks of 8 x 8 pixels with noise
    assert set(np.unique(shares[0])) == {round(255 * 2 / 6)}
    assert (arrays[f"kept.all.{by_role['median'][0]}"][:2, :2] == whole).all()


def test_where_every_input_costs_the_same_only_spread_ones_are_kept(tmp_path):
    facts, _, _ = kept(tmp_path, Contrasts(), halts=False)
    assert [one["index"] for one in facts["inputs"]] == [1, 5, 9]
    assert {tuple(one["roles"]) for one in facts["inputs"]} == {("spread",)}


def test_inputs_without_a_label_have_no_label_no_errors_and_no_quality(tmp_path):
    facts, arrays, _ = kept(tmp_path, Contrasts(label_all=False))
    assert {one["index"] % 2 for one in facts["inputs"]} == {0, 1}
    for k, one in enumerate(facts["inputs"]):
        bare = bool(one["index"] % 2)
        assert (f"label.depth.{k}" not in arrays) == bare
        assert (f"errors.depth.{k}" not in arrays) == bare
        assert (one["quality"]["depth"] is None) == bare
        assert f"prediction.depth.{k}" in arrays


def test_pictures_are_at_most_256_pixels_long(tmp_path):
    _, arrays, _ = kept(tmp_path, Contrasts(size=(96, 320)), count=3)
    assert {array.shape[:2] for name, array in arrays.items() if not name.startswith("kept.")} == {(77, 256)}
    labels = arrays["label.semseg.0"].reshape(-1, 3)
    assert len(np.unique(labels, axis=0)) == len(CLASSES)  # not one blended colour


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_toy_variant_keeps_the_contract(check):
    check(Case.small(ToyAdaptive))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_of_an_adaptive_variant_from_its_data_to_its_report(tmp_path):
    text = SUITE.replace("[static_mtl]", "[toy_adaptive]").replace("launches: 2", "launches: 1")
    changes = {
        "patch: 16": "patch: 8",
        "test: 6": "test: 12",
        "[semseg, depth]": "[semseg]",
        "inputs: 2": "inputs: 10",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    site = {"PYTHONPATH": str(install(tmp_path / "site"))}
    _finish(command("run", write_suite(tmp_path, text), "--out", tmp_path / "run", **site))
    view = open_view(tmp_path / "run", per_input=True)
    roles = {}
    for cell_id, label in zip(view.table["cell_id"], view.table["label"], strict=True):
        facts = _facts(tmp_path / "run" / "samples" / f"{cell_id}.pictures.npz")
        roles[label] = {role for one in facts["inputs"] for role in one["roles"]}
        assert [one["index"] for one in facts["inputs"] if "spread" in one["roles"]] == [2, 6, 10]
        macs = view.inputs["macs_nominal"][view.inputs["cell_id"] == cell_id].to_list()
        assert [one["macs_nominal"] for one in facts["inputs"]] == [
            macs[one["index"]] for one in facts["inputs"]
        ]
    assert [found for label, found in roles.items() if "0.5" in label] == [{"spread", *RANKS}]
    assert sum(found == {"spread"} for found in roles.values()) == len(roles) - 1
    assert view.inputs["floor_ms"].notna().sum() == 10 * len(roles)

    (group,) = groups(view)
    found = section(view, group, styles(variants(view)))
    assert any(
        "With toy_adaptive at keep 0.5, half of the inputs cost at most" in words for words in found.lead
    )
    grids = [block for block in found.blocks if isinstance(block, Sample)]
    assert [head.title for head in grids[0].columns] == list(RANKS)
    assert len(grids) == 4
    command("report", tmp_path / "run", "--out", tmp_path / "report").communicate(timeout=200)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp") == sum(len(grid.tiles) for grid in grids)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_untrained_an_adaptive_network_runs_at_the_asked_ratio_and_nothing_is_kept(tmp_path):
    text = SUITE.replace("[static_mtl]", "[toy_adaptive]").replace("launches: 2", "launches: 1")
    text = text.replace("training: {epochs: 1, batch: 8}", "training: random").replace(
        "patch: 16", "patch: 4"
    )
    site = {"PYTHONPATH": str(install(tmp_path / "site"))}
    suite = write_suite(tmp_path, text)
    _finish(command("run", suite, "--out", tmp_path / "run", "--set", "baselines=[]", **site))
    assert list((tmp_path / "run" / "samples").glob("*.parquet"))
    assert not list((tmp_path / "run" / "samples").glob("*.npz"))
    table = load_results(tmp_path / "run")
    half = table[table["axis.keep"] == 0.5].iloc[0]
    # Every image keeps exactly 32 of its 64 patches, whatever is in it, so what four of six blocks leave out is known.
    assert half["macs_nominal_p50"] == half["macs_nominal"] == half["macs_executed"]

    def block(tokens, dim=96):
        return 12 * tokens * dim * dim + 2 * tokens * tokens * dim

    assert half["macs_reference"] - half["macs_nominal"] == pytest.approx(4 * (block(65) - block(33)))
    assert "untrained_decisions" not in half["warnings"]


def _finish(process):
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors


def _facts(path: Path):
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(str(archive["facts"]))
