"""What holds of every task, built in or not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import task_brute as brute
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.errors import MtlbenchError
from mtlbench.tasks import registry

NAMES = registry.names()
BEST = {"higher": 1.0, "lower": 0.0}
seeds = st.integers(0, 2**32 - 1)
every_task = pytest.mark.parametrize("name", NAMES)


def batch(name, seed, **kwargs):
    rng = np.random.default_rng(seed)
    return brute.random_prediction(name, rng), brute.random_label(name, rng, **kwargs)


def scores(task, prediction, label):
    return task.metrics(task.statistics(prediction, label).sum(axis=0))


@every_task
@settings(max_examples=15, deadline=None)
@given(seed=seeds, missing=st.sampled_from([0.0, 0.2, 0.9]))
def test_metrics_equal_a_pixel_by_pixel_reference(name, seed, missing):
    prediction, label = batch(name, seed, missing=missing)
    expected = brute.metrics(name, prediction, label)
    got = scores(brute.make(name), prediction, label)
    assert got.keys() == expected.keys() == brute.make(name).directions.keys()
    for metric, value in expected.items():
        np.testing.assert_allclose(got[metric], value, rtol=1e-9, err_msg=metric)


@every_task
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_statistics_do_not_depend_on_the_batch_or_its_order(name, seed):
    task = brute.make(name)
    prediction, label = batch(name, seed)
    together = task.statistics(prediction, label)
    alone = np.concatenate(
        [task.statistics(prediction[i : i + 1], label[i : i + 1]) for i in range(len(label))]
    )
    order = np.random.default_rng(seed).permutation(len(label))
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[order], task.statistics(prediction[order], label[order]))


@every_task
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_ignored_pixels_do_not_matter(name, seed):
    task = brute.make(name)
    prediction, label = batch(name, seed)
    hidden = np.random.default_rng(seed).random(label.shape[:3]) < 0.5
    label[hidden] = task.empty_label(1, 1)[0, 0]
    garbage = np.where(hidden[:, None], np.float32(np.nan), prediction)
    np.testing.assert_array_equal(task.statistics(prediction, label), task.statistics(garbage, label))


@every_task
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_a_perfect_prediction_has_perfect_scores(name, seed):
    task = brute.make(name)
    _, label = batch(name, seed)
    got = scores(task, brute.perfect_prediction(name, label), label)
    for metric, direction in task.directions.items():
        assert got[metric] == pytest.approx(BEST[direction], abs=1e-9), metric


@every_task
def test_a_worse_prediction_scores_worse(name):
    task = brute.make(name)
    prediction, label = batch(name, 1)
    good = scores(task, brute.perfect_prediction(name, label), label)[task.primary]
    bad = scores(task, prediction, label)[task.primary]
    assert (bad < good) if task.directions[task.primary] == "higher" else (bad > good)


@every_task
def test_metrics_are_nan_where_nothing_is_valid(name):
    task = brute.make(name)
    prediction, _ = batch(name, 0)
    label = np.stack([task.empty_label(4, 5)] * 3)
    rows = task.statistics(prediction, label)
    assert not rows.any()
    assert all(np.isnan(value) for value in task.metrics(rows.sum(axis=0)).values())


@every_task
def test_metrics_take_any_leading_shape(name):
    task = brute.make(name)
    rows = task.statistics(*batch(name, 3))
    flat, deep = task.metrics(rows), task.metrics(rows.reshape(3, 1, -1))
    for metric in task.directions:
        assert flat[metric].shape == (3,)
        np.testing.assert_array_equal(flat[metric][:, None], deep[metric])
        np.testing.assert_array_equal(flat[metric][1], task.metrics(rows[1])[metric])


@every_task
def test_a_nan_prediction_cannot_score(name):
    task = brute.make(name)
    prediction, label = batch(name, 4, missing=0.0)
    prediction[1, 0, 2, 2] = np.nan
    rows = task.statistics(prediction, label)
    assert np.isnan(rows[1]).all()
    assert np.isfinite(rows[[0, 2]]).all()
    assert all(np.isnan(value) for value in task.metrics(rows.sum(axis=0)).values())


@every_task
def test_huge_predictions_raise_no_warning(name):
    task = brute.make(name)
    _, label = batch(name, 5)
    for value in (-3e38, -1e4, 0.0, 1e4, 3e38):
        rows = task.statistics(np.full((3, task.channels, 4, 5), value, dtype=np.float32), label)
        assert np.isfinite(rows).all()
        task.metrics(rows.sum(axis=0))


@every_task
def test_shapes_that_do_not_fit_are_refused(name):
    task = brute.make(name)
    prediction, label = batch(name, 6)
    with pytest.raises(MtlbenchError, match="does not fit"):
        task.statistics(prediction[:1], label)
    with pytest.raises(MtlbenchError, match="does not fit"):
        task.statistics(prediction[:, :, :3], label)


@every_task
def test_flipping_twice_is_the_identity(name):
    task = brute.make(name)
    _, label = batch(name, 7)
    np.testing.assert_array_equal(task.flip(task.flip(label[0])), label[0])
    assert task.flip(label[0]).dtype == label.dtype


@every_task
def test_scores_survive_flipping_image_and_label(name):
    task = brute.make(name)
    prediction, label = batch(name, 8)
    mirrored = prediction[..., ::-1].copy()
    if name == "normals":
        mirrored[:, 0] *= -1
    flipped = np.stack([task.flip(one) for one in label])
    before, after = scores(task, prediction, label), scores(task, mirrored, flipped)
    for metric in before:
        np.testing.assert_allclose(before[metric], after[metric], rtol=1e-12)


@every_task
def test_decoding_a_perfect_prediction_gives_the_label(name):
    task = brute.make(name)
    _, label = batch(name, 9, missing=0.0)
    decoded = task.decode(brute.perfect_prediction(name, label)[0])
    assert decoded.shape == label[0].shape
    assert decoded.dtype == label.dtype
    np.testing.assert_allclose(decoded, label[0], atol=1e-6)


@every_task
def test_pictures_are_rgb_and_grey_where_ignored(name):
    task = brute.make(name)
    _, label = batch(name, 10)
    label[0, 0, 0] = task.empty_label(1, 1)[0, 0]
    picture = task.render(label[0])
    assert picture.shape == (4, 5, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[0, 0]) == (128, 128, 128)
    valid = task.statistics(brute.random_prediction(name, np.random.default_rng(0)), label)
    assert valid[0].any()
    assert (picture != 128).any()
    assert (task.render(task.empty_label(2, 3)) == 128).all()


@every_task
def test_an_all_ignored_loss_is_zero_with_a_finite_gradient(name):
    task = brute.make(name)
    for value in (0.0, 1.0):
        prediction = torch.full((2, task.channels, 4, 5), value, requires_grad=True)
        loss = task.loss(prediction, torch.from_numpy(np.stack([task.empty_label(4, 5)] * 2)))
        loss.backward()
        assert loss.shape == ()
        assert loss.item() == 0
        assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@every_task
def test_the_loss_falls_to_the_label_and_ignores_the_rest(name):
    task = brute.make(name)
    prediction, label = batch(name, 11)
    inputs = torch.from_numpy(prediction).requires_grad_()
    loss = task.loss(inputs, torch.from_numpy(label))
    loss.backward()
    assert torch.isfinite(inputs.grad).all()
    perfect = task.loss(
        torch.from_numpy(brute.perfect_prediction(name, label).copy()), torch.from_numpy(label)
    )
    assert 0 <= perfect < loss
    ignored = ~np.isfinite(label) | (label == 0) if name == "depth" else label == 255
    if name == "normals":
        ignored = (label == 0).all(axis=-1)
    assert (np.moveaxis(inputs.grad.numpy(), 1, -1)[ignored] == 0).all()


@every_task
def test_the_loss_computes_in_float32(name):
    task = brute.make(name)
    prediction, label = batch(name, 12)
    loss = task.loss(torch.from_numpy(prediction).bfloat16(), torch.from_numpy(label))
    assert loss.dtype == torch.float32


@every_task
def test_declarations_are_complete(name):
    task = brute.make(name)
    assert task.name == name
    assert task.primary in task.directions
    assert task.loss_weight > 0


def test_default_loss_weights_are_the_published_ones():
    weights = {name: registry.get(name).loss_weight for name in NAMES}
    assert weights == {
        "semseg": 1,
        "human_parts": 2,
        "saliency": 5,
        "edge": 50,
        "normals": 10,
        "depth": 1,
    }


def test_importing_and_judging_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; from mtlbench.tasks import registry\n"
        "for name in registry.names():\n"
        "    options = {'classes': ['a', 'b']} if name in ('semseg', 'human_parts') else {}\n"
        "    task = registry.get(name)(**options)\n"
        "    task.statistics(np.ones((1, task.channels, 2, 2), 'f4'), task.empty_label(2, 2)[None])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
