"""Training: it learns, resumes to the bit, chooses on validation, and stops at a loss that is not finite."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mtlbench import tasks
from mtlbench.data.batches import LoadedSplit, normalise
from mtlbench.errors import TrainingError
from mtlbench.training import recipe
from mtlbench.training.loop import learning_rate, train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.selection import score
from mtlbench.training.weighting import UncertaintyWeighting, make_weighting

TASKS = {"depth": tasks.registry.get("depth")(), "saliency": tasks.registry.get("saliency")()}
NORMALISE = partial(normalise, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def split(count, seed):
    """Depth grows with brightness and bright pixels are salient: learnable by a 1x1 convolution."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    brightness = images.mean(axis=-1)
    labels = {
        "depth": (1 + brightness / 100).astype(np.float32),
        "saliency": (brightness > 128).astype(np.uint8),
    }
    return LoadedSplit(tuple(f"{seed}-{i}" for i in range(count)), images, labels, {})


class Recipe(recipe.Recipe):
    """A 1x1 convolution for each task, with dropout, so that the random state matters."""

    def __init__(self, poison_at=None):
        self.poison_at = poison_at
        self.calls = 0

    def network(self, parents, seed):
        torch.manual_seed(seed)
        return nn.ModuleDict({name: nn.Sequential(nn.Dropout(0.1), nn.Conv2d(3, 1, 1)) for name in TASKS})

    def predict(self, network, images):
        return {name: head(images) for name, head in network.items()}

    def losses(self, network, images, labels, progress):
        self.calls += 1
        found = {name: TASKS[name].loss(p, labels[name]) for name, p in self.predict(network, images).items()}
        if self.calls - 1 == self.poison_at:
            found["saliency"] = found["saliency"] * math.nan
        return found


def run(protocol, recipe_=None, checkpoint=None, progress=lambda _: None, val=8):
    return train(
        recipe_ or Recipe(),
        protocol,
        TASKS,
        split(32, 0),
        split(val, 1),
        seed=3,
        parents={},
        normalise=NORMALISE,
        checkpoint=checkpoint,
        progress=progress,
    )


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


PROTOCOL = TrainingProtocol(epochs=6, batch=8, lr=0.05)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_it_learns_and_keeps_the_best_epoch(weighting):
    result = run(PROTOCOL.model_copy(update={"weighting": weighting, "epochs": 20}))
    values = [row["val.depth.rmse_m"] for row in result.history]
    assert min(values) < 0.5 * values[0]
    assert 1 <= result.best_epoch <= 20


def test_one_seed_gives_the_same_weights():
    first, second = run(PROTOCOL), run(PROTOCOL)
    assert equal(first.state, second.state)
    assert first.history == second.history


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_an_interrupted_training_resumes_to_the_bit(tmp_path, stop_after):
    whole = run(PROTOCOL)

    def interrupt(row):
        if row["epoch"] == stop_after:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        run(PROTOCOL, checkpoint=checkpoint, progress=interrupt)
    torch.manual_seed(99)
    recipe = Recipe()
    resumed = run(PROTOCOL, recipe, checkpoint=checkpoint)
    assert recipe.calls == (6 - stop_after) * 4
    assert equal(resumed.state, whole.state)
    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch


def test_a_loss_that_is_not_finite_names_step_and_task():
    with pytest.raises(TrainingError, match=r"loss of saliency is nan at step 5 \(epoch 2\)"):
        run(PROTOCOL, Recipe(poison_at=5))


def test_fewer_images_than_a_batch_is_refused():
    with pytest.raises(TrainingError, match="fewer than one batch"):
        run(PROTOCOL.model_copy(update={"batch": 64}))


def test_without_validation_the_last_epoch_is_kept():
    result = run(PROTOCOL, val=0)
    assert result.best_epoch == 6
    assert not any(name.startswith("val.") for row in result.history for name in row)


def test_the_rate_warms_up_and_decays():
    rates = [learning_rate(step, 100, PROTOCOL) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * (i + 1) / 10 for i in range(10)])
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(0.05 * 0.01, rel=0.1)


def test_the_score_orders_one_task_by_its_primary_metric_and_punishes_nan():
    only = {"depth": TASKS["depth"]}
    first = {"depth": 2.0}
    scores = [score({"depth": value}, first, only) for value in (3.0, 2.0, 1.0)]
    assert scores == sorted(scores)
    assert score({"depth": math.nan}, first, only) == -math.inf


def test_no_task_wins_by_having_started_at_nothing():
    first = {"depth": 1.0, "saliency": 0.0}
    steady = score({"depth": 0.4, "saliency": 0.001}, first, TASKS)
    assert steady > score({"depth": 1.0, "saliency": 0.002}, first, TASKS)


def test_a_task_that_validation_cannot_judge_has_no_say():
    first = {"depth": 1.0, "saliency": math.nan}
    scores = [score({"depth": d, "saliency": math.nan}, first, TASKS) for d in (1.0, 0.5)]
    assert scores == sorted(scores)
    assert math.isfinite(scores[0])


def test_a_term_that_is_no_task_counts_once():
    weighting = make_weighting("uncertainty", {"a": 1.0})
    assert weighting({"a": torch.tensor(2.0), "budget": torch.tensor(3.0)}).item() == pytest.approx(5.0)


def test_uncertainty_weighting_finds_its_optimum():
    """At the optimum of exp(-s) L + s / 2 the learned s is log(2 L)."""
    weighting = make_weighting("uncertainty", {"a": 1.0, "b": 1.0})
    assert isinstance(weighting, UncertaintyWeighting)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    losses = {"a": torch.tensor(0.2), "b": torch.tensor(5.0)}
    for _ in range(2000):
        optimizer.zero_grad()
        weighting(losses).backward()
        optimizer.step()
    learned = {name: value.item() for name, value in weighting.log_variance.items()}
    assert learned == pytest.approx({"a": math.log(0.4), "b": math.log(10.0)}, abs=1e-3)
