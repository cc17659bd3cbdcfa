"""Labels that some samples lack: everything goes on, and numbers come from labelled pixels alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from mtlbench import RunResult, run, tasks
from mtlbench.data import registry
from mtlbench.data.base import Sample
from mtlbench.data.batches import LoadedSplit, load_split, normalise
from mtlbench.data.scenes import Scenes
from mtlbench.results.folder import RunFolder
from mtlbench.training import recipe
from mtlbench.training.loop import train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.selection import validate
from mtlbench.training.weighting import make_weighting

OPTIONS = {name: tasks.registry.get(name)(**options) for name, options in Scenes.tasks({}).items()}
TASKS = {name: OPTIONS[name] for name in ("semseg", "depth", "normals", "saliency", "edge")}
NORMALISE = partial(normalise, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class Sparse(Scenes):
    """Rooms of which some samples lack labels: by split and task, the indices that keep theirs (all, if not named)."""

    def __init__(self, kept: Mapping[tuple[str, str], set[int]], **options: Any) -> None:
        super().__init__(**options)
        self.kept = kept

    def sample(self, split: str, index: int) -> Sample:
        whole = super().sample(split, index)
        labels = {
            task: label
            for task, label in whole.labels.items()
            if index in self.kept.get((split, task), {index})
        }
        return Sample(whole.id, whole.image, labels, whole.attributes)


def loaded(split: str, kept: Mapping[tuple[str, str], set[int]], only: set[int] | None = None) -> LoadedSplit:
    """A split of twelve small rooms; of some of them, where `only` is given."""
    found = load_split(Sparse(kept, size=(16, 16), train=12, val=12), split, TASKS)
    if only is None:
        return found
    chosen = sorted(only)
    labels = {name: label[chosen] for name, label in found.labels.items()}
    return LoadedSplit(tuple(found.ids[i] for i in chosen), found.images[chosen], labels, {})


class Recipe(recipe.Recipe):
    """A 1x1 convolution for each task."""

    def network(self, parents: object, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.ModuleDict({name: nn.Conv2d(3, task.channels, 1) for name, task in TASKS.items()})

    def predict(self, network: Any, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: head(images) for name, head in network.items()}

    def losses(self, network: Any, images: Any, labels: Any, progress: float) -> dict[str, torch.Tensor]:
        return {n: TASKS[n].loss(p, labels[n]) for n, p in self.predict(network, images).items()}


def trained(
    kept: Mapping[tuple[str, str], set[int]], weighting: str = "fixed"
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Weights and history after three epochs of batches of four."""
    protocol = TrainingProtocol(epochs=3, batch=4, lr=0.01, weighting=weighting, weight_decay=0)
    result = train(
        Recipe(),
        protocol,
        TASKS,
        loaded("train", kept),
        loaded("val", kept),
        seed=0,
        parents={},
        normalise=NORMALISE,
    )
    return result.state, result.history


EVERY_TASK_OF = {split: {(split, task): set[int]() for task in TASKS} for split in ("train", "val")}


# Training


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
@pytest.mark.parametrize("task", list(TASKS))
def test_batches_that_lack_a_task_train_on(task: str, weighting: str) -> None:
    """One sample of twelve carries the label, so at least two batches of three lack it entirely."""
    state, history = trained({("train", task): {5}}, weighting)
    assert all(math.isfinite(value) for row in history for value in row.values())
    assert all(tensor.isfinite().all() for tensor in state.values())
    untrained = Recipe().network({}, 0).state_dict()
    assert not torch.equal(state[f"{task}.weight"], untrained[f"{task}.weight"])


@pytest.mark.parametrize("task", list(TASKS))
def test_a_task_that_training_lacks_is_left_as_it_was_and_disturbs_no_other(task: str) -> None:
    state, history = trained({("train", task): set()})
    whole, _ = trained({})
    untrained = Recipe().network({}, 0).state_dict()
    assert all(math.isfinite(row["loss"]) for row in history)
    for name in TASKS:
        expected = untrained if name == task else whole
        assert torch.equal(state[f"{name}.weight"], expected[f"{name}.weight"]) or name != task
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_training_without_any_label_changes_nothing() -> None:
    state, history = trained(EVERY_TASK_OF["train"])
    untrained = Recipe().network({}, 0).state_dict()
    assert all(torch.equal(state[name], untrained[name]) for name in state)
    assert [row["loss"] for row in history] == [0, 0, 0]


def test_a_batch_without_a_task_says_nothing_about_its_uncertainty() -> None:
    weighting = make_weighting("uncertainty", {"depth": 1.0, "edge": 1.0})
    weighting({"depth": torch.tensor(2.0), "edge": torch.tensor(0.0)}).backward()
    gradients = {name: float(parameter.grad) for name, parameter in weighting.log_variance.items()}
    assert gradients == {"depth": pytest.approx(-2 + 0.5), "edge": 0}


# Validation


def test_validation_pools_over_labelled_samples_alone() -> None:
    """Metrics of a split where a few samples carry a label are those of these few samples alone."""
    labelled = {
        "semseg": {0, 7},
        "depth": {3},
        "normals": {1, 2, 11},
        "saliency": set(range(12)),
        "edge": {4},
    }
    network = Recipe().network({}, 1)
    predict = partial(Recipe().predict, network)
    sparse = loaded("val", {("val", task): kept for task, kept in labelled.items()})
    metrics = validate(predict, sparse, TASKS, 5, NORMALISE)
    for task, kept in labelled.items():
        alone = validate(predict, loaded("val", {}, only=kept), TASKS, 5, NORMALISE)
        assert metrics[task] == pytest.approx(alone[task], rel=1e-9, nan_ok=True)
        assert math.isfinite(metrics[task][TASKS[task].primary])


@pytest.mark.parametrize("task", list(TASKS))
def test_a_task_that_validation_lacks_has_no_number_and_no_say(task: str) -> None:
    state, history = trained({("val", task): set()})
    primary = f"val.{task}.{TASKS[task].primary}"
    assert all(math.isnan(row[primary]) for row in history)
    others = [f"val.{name}.{t.primary}" for name, t in TASKS.items() if name != task]
    assert all(math.isfinite(row[name]) for row in history for name in others)
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_without_any_validation_label_the_last_epoch_counts() -> None:
    state, _ = trained(EVERY_TASK_OF["val"])
    protocol = TrainingProtocol(epochs=3, batch=4, lr=0.01, weight_decay=0)
    none = LoadedSplit((), np.empty((0, 16, 16, 3), np.uint8), {}, {})
    last = train(
        Recipe(),
        protocol,
        TASKS,
        loaded("train", {}),
        none,
        seed=0,
        parents={},
        normalise=NORMALISE,
    )
    assert all(torch.equal(state[name], last.state[name]) for name in state)


# A whole run, through worker processes

MODULE = '''
from mtlbench.data.base import Sample
from mtlbench.data.scenes.dataset import Scenes, ScenesOptions


class PartlyOptions(ScenesOptions):
    depth_in_test: bool = True


class Partly(Scenes):
    """Rooms whose first sample of each split carries nothing, and of whose others only every fourth has depth."""

    name = "partly"
    Options = PartlyOptions

    @classmethod
    def tasks(cls, options):
        return Scenes.tasks({})

    def sample(self, split, index):
        whole = super().sample(split, index)
        if index == 0:
            return Sample(whole.id, whole.image, {}, {})
        has_depth = index % 4 == 1 and (self.options.depth_in_test or split == "train")
        labels = {task: label for task, label in whole.labels.items() if task != "depth" or has_depth}
        return Sample(whole.id, whole.image, labels, whole.attributes)
'''

SUITE = """
suite: partly
datasets: {name: partly, size: [32, 32], train: 16, val: 4, test: 10, depth_in_test: DEPTH_IN_TEST}
tasks: [semseg, depth]
encoders: {name: vit, arch: nano, patch: 16}
head: {name: multiscale, width: 8}
variants: [single_task, static_mtl]
training: {epochs: 1, batch: 4}
measure: {inputs: 2, launches: 1, max_seconds: 0.2, warmup_max_seconds: 0.1, resamples: 100, crosscheck: false,
          requeue: 0, profile: false}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A package with the dataset, for this process and for its workers."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "partly_labelled.py").write_text(MODULE)
    metadata = folder / "partly_labelled-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: partly-labelled\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[mtlbench.datasets]\npartly = partly_labelled:Partly\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        patch.setattr(registry, "_installed", None)  # what was installed is read once
        patch.setattr(registry, "_targets", dict(registry._targets))  # and what was found is kept
        yield folder


def finished(folder: Path, depth_in_test: bool) -> RunResult:
    suite = folder / "partly.yaml"
    suite.write_text(SUITE.replace("DEPTH_IN_TEST", str(depth_in_test).lower()))
    return run(suite, out=folder / "run")


@pytest.fixture(scope="module")
def some(site: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Test samples 1, 5 and 9 have depth."""
    return finished(tmp_path_factory.mktemp("some"), depth_in_test=True)


@pytest.fixture(scope="module")
def none(site: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """No sample of val or test has depth."""
    return finished(tmp_path_factory.mktemp("none"), depth_in_test=False)


def per_image(result: RunResult, variant: str) -> pd.DataFrame:
    folder = RunFolder(result.folder)
    cell = result.table.set_index("variant").loc[variant, "cell_id"]
    launch = next(x for x in folder.launches() if x["cell_id"] == cell and x["kind"] == "evaluate")
    return pq.read_table(folder.samples / f"{launch['launch_id']}.images.parquet").to_pandas()


@pytest.mark.slow
def test_metrics_of_a_run_pool_over_labelled_samples_alone(some: RunResult) -> None:
    assert some.exit_code == 0
    assert set(some.table["status"]) == {"ok"}
    for variant, row in some.table.set_index("variant").iterrows():
        images = per_image(some, str(variant))
        statistics = np.stack(images["statistics.depth"])
        assert np.flatnonzero(statistics.any(axis=1)).tolist() == [1, 5, 9]
        labelled = TASKS["depth"].metrics(statistics[[1, 5, 9]].sum(axis=0))
        assert row["metric.depth.rmse_m"] == pytest.approx(float(labelled["rmse_m"]), rel=1e-9)
        assert np.flatnonzero(np.stack(images["statistics.semseg"]).any(axis=1)).tolist() == list(
            range(1, 10)
        )
    static = some.table.set_index("variant").loc["static_mtl"]
    assert math.isfinite(static["delta_m"])
    assert math.isfinite(static["delta_m.depth"])


@pytest.mark.slow
def test_unlabelled_samples_cost_like_the_others(some: RunResult) -> None:
    images = per_image(some, "static_mtl")
    assert len(images) == 10
    assert images["macs_executed"].nunique() == 1
    assert some.table["n_images"].eq(10).all()


@pytest.mark.slow
def test_attributes_survive_a_first_sample_without_any(some: RunResult) -> None:
    images = per_image(some, "static_mtl")
    assert images["attribute.complexity"].isna().tolist() == [True] + [False] * 9


@pytest.mark.slow
def test_what_nothing_labels_is_an_empty_cell_with_a_reason(none: RunResult) -> None:
    assert none.exit_code == 0
    assert set(none.table["status"]) == {"ok"}
    stored = pd.read_csv(none.folder / "cells.csv", dtype=str, keep_default_na=False).set_index("variant")
    for variant in ("single_task", "static_mtl"):
        for name in ("rmse_m", "rmse_m.ci_low", "rmse_m.ci_high", "abs_rel", "delta1"):
            assert stored.loc[variant, f"metric.depth.{name}"] == ""
        assert float(stored.loc[variant, "metric.semseg.miou"]) >= 0
    static = stored.loc["static_mtl"]
    assert static["delta_m"] == static["delta_m.ci_low"] == static["delta_m.depth"] == ""
    assert "depth" in static["delta_m_reason"]
