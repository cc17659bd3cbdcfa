"""Error maps: how wrong a prediction is at each pixel, for pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import task_brute as brute
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.errors import MtlbenchError
from mtlbench.tasks import registry

NAMES = registry.names()
every_task = pytest.mark.parametrize("name", NAMES)


def pair(name, seed, **kwargs):
    rng = np.random.default_rng(seed)
    return brute.random_prediction(name, rng)[0], brute.random_label(name, rng, **kwargs)[0]


def plain_error(name, scores, truth):
    """The error of one pixel written plainly; NaN where its label is ignored."""
    if name == "normals":
        cosine = sum(float(a) * float(b) for a, b in zip(scores, truth, strict=True)) / np.linalg.norm(scores)
        angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        return min(angle / 90, 1) if any(truth) else math.nan
    if name == "depth":
        known = math.isfinite(truth) and truth > 0
        return min(abs(float(scores[0]) - float(truth)) / float(truth) / 0.5, 1) if known else math.nan
    if truth == 255:
        return math.nan
    if name in ("semseg", "human_parts"):
        return float(list(scores).index(max(scores)) != truth)
    return abs(brute.sigmoid(float(scores[0])) - float(truth))


@every_task
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), missing=st.sampled_from([0.0, 0.3, 0.9]))
def test_errors_equal_a_pixel_by_pixel_reference(name, seed, missing):
    prediction, label = pair(name, seed, missing=missing)
    expected = [
        [plain_error(name, prediction[:, r, c], label[r, c]) for c in range(label.shape[1])]
        for r in range(label.shape[0])
    ]
    got = brute.make(name).errors(prediction, label)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-4)  # acos loses half the digits near 0


@every_task
def test_a_perfect_prediction_has_no_errors(name):
    _, label = pair(name, 1)
    wrong = brute.make(name).errors(brute.perfect_prediction(name, label[None])[0], label)
    assert np.nanmax(wrong) < 1e-3


@every_task
@pytest.mark.parametrize("value", [np.nan, -3e38, 3e38])
def test_diverged_predictions_stay_within_the_scale_and_raise_no_warning(name, value):
    task = brute.make(name)
    _, label = pair(name, 2, missing=0.0)
    wrong = task.errors(np.full((task.channels, 4, 5), value, dtype=np.float32), label)
    assert ((wrong >= 0) & (wrong <= 1)).all()
    if math.isnan(value):
        assert (wrong == 1).all()


def test_the_mean_of_class_errors_is_what_pixel_accuracy_lacks():
    task = brute.make("semseg")
    prediction, label = pair("semseg", 3)
    accuracy = task.metrics(task.statistics(prediction[None], label[None])[0])["pixel_accuracy"]
    assert np.nanmean(task.errors(prediction, label)) == pytest.approx(1 - accuracy)


@every_task
def test_an_unlabelled_picture_is_all_nan(name):
    task = brute.make(name)
    prediction, _ = pair(name, 4)
    assert np.isnan(task.errors(prediction, task.empty_label(4, 5))).all()


@every_task
def test_shapes_that_do_not_fit_are_refused(name):
    prediction, label = pair(name, 5)
    with pytest.raises(MtlbenchError, match="does not fit"):
        brute.make(name).errors(prediction[:, :3], label)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bias=st.floats(-3, 3))
def test_edges_are_drawn_at_the_threshold_that_the_metric_found_best(seed, bias):
    rng = np.random.default_rng(seed)
    label = brute.random_label("edge", rng)
    prediction = brute.random_prediction("edge", rng) + np.float32(bias)
    task = brute.make("edge")
    sums = task.statistics(prediction, label).sum(axis=0)
    drawn = task.for_pictures([], sums)
    said = np.stack([drawn.decode(one) for one in prediction])
    valid = label != 255
    hit, claimed, positives = (said & (label == 1)).sum(), (said[valid]).sum(), (label == 1).sum()
    assert 2 * hit / (claimed + positives) == pytest.approx(task.metrics(sums)["ods_pixel_f"])
    wrong = np.stack([drawn.errors(p, y) for p, y in zip(prediction, label, strict=True)])
    np.testing.assert_array_equal((wrong > 0.5)[valid], (said != label)[valid])


def test_without_an_edge_the_threshold_stays_at_a_half():
    task = brute.make("edge")
    assert task.for_pictures([], np.zeros(514)).level == task.level == 128
    assert task.for_pictures([], np.full(514, np.nan)).level == 128


def test_depths_share_one_scale_in_all_pictures_of_a_set():
    task = brute.make("depth")
    near, far = np.full((4, 5), 1.0, np.float32), np.full((4, 5), 3.0, np.float32)
    drawn = task.for_pictures([near, far, task.empty_label(4, 5)], np.zeros(4))
    assert drawn.limits_m == (1.0, 3.0)
    np.testing.assert_array_equal(drawn.render(near)[0, 0], (68, 1, 84))  # both ends of viridis
    np.testing.assert_array_equal(drawn.render(far)[0, 0], (253, 231, 36))
    np.testing.assert_array_equal(
        drawn.render(np.float32([[2.0, 3.0]])), drawn.render(np.float32([[2.0, 30.0]]))
    )
    assert drawn.legend() == (("1.0 m", "#440154"), ("2.0 m", "#20908c"), ("3.0 m", "#fde724"))
    assert task.limits_m is None
    assert task.legend() == ()
    assert task.for_pictures([task.empty_label(4, 5)], np.zeros(4)).limits_m is None


def test_the_scale_leaves_out_the_outermost_hundredths():
    depths = np.linspace(1, 101, 10_001, dtype=np.float32).reshape(73, 137)
    limits = brute.make("depth").for_pictures([depths], np.zeros(4)).limits_m
    np.testing.assert_allclose(limits, (2, 100), atol=1e-2)


@every_task
def test_legends_name_colours_that_the_pictures_have(name):
    task = brute.make(name)
    drawn = task.for_pictures([brute.random_label(name, np.random.default_rng(0))[0]], np.zeros(514))
    for said, colour in drawn.legend():
        assert said
        assert len(colour) == 7
        assert int(colour.removeprefix("#"), 16) >= 0
    if name == "semseg":
        label = np.array([[0, 1, 2, 3]], dtype=np.uint8)
        colours = ["#{:02x}{:02x}{:02x}".format(*pixel) for pixel in task.render(label)[0]]
        assert drawn.legend() == tuple(zip(brute.CLASSES, colours, strict=True))
    if name == "normals":
        up = task.render(np.float32([[[0, -1, 0]]]))[0, 0]
        assert dict(drawn.legend())["faces up"] == "#{:02x}{:02x}{:02x}".format(*up)
