"""Saliency and edges."""

from __future__ import annotations

import numpy as np
import pytest
import task_brute as brute
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtlbench.errors import DataError
from mtlbench.tasks.edge import Edge
from mtlbench.tasks.saliency import Saliency


def logit(probability):
    p = np.asarray(probability, dtype=np.float64)
    return np.log(p / (1 - p)).astype(np.float32)


def judge(task, probability, label):
    rows = task.statistics(logit([[[probability]]]), np.array([[label]], dtype=np.uint8))
    return task.metrics(rows[0])


@settings(max_examples=30, deadline=None)
@given(
    logits=arrays(np.float32, (1, 2, 3), elements=st.floats(-12, 12, width=32)),
    label=arrays(np.uint8, (1, 2, 3), elements=st.sampled_from([0, 1, 255])),
)
def test_counts_equal_a_direct_comparison_at_each_threshold(logits, label):
    rows = Saliency().statistics(logits[:, None], label)
    for k in range(0, 256, 5):
        tp, fp, fn, tn = brute.binary_counts(logits, label, k / 256)
        assert rows[0, [k, 256 + k, 512, 513]].tolist() == [tp, tp + fp, tp + fn, tp + fp + fn + tn]


def test_a_logit_of_zero_is_predicted_salient_and_the_next_below_is_not():
    for value, expected in ((0.0, 1), (-1e-30, 0)):
        prediction = np.full((1, 1, 1, 1), value, dtype=np.float32)
        rows = Saliency().statistics(prediction, np.ones((1, 1, 1), dtype=np.uint8))
        assert rows[0, 128] == expected
        assert Saliency().decode(prediction[0])[0, 0] == expected


def test_miou_is_the_mean_of_foreground_and_background():
    scores = judge(Saliency(), [0.9, 0.9, 0.1, 0.1, 0.1], [1, 0, 0, 0, 1])
    assert scores["miou"] == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_max_f_weighs_precision_by_beta_squared():
    # best at .9: P = 1, R = 1/2
    scores = judge(Saliency(), [0.9, 0.5, 0.5, 0.5, 0.2], [1, 0, 0, 0, 1])
    assert scores["max_f"] == pytest.approx(1.3 * 1 * 0.5 / (0.3 * 1 + 0.5))


def test_the_edge_threshold_is_one_for_the_whole_set():
    task = Edge()
    prediction = logit([[[[0.9, 0.7]]], [[[0.3, 0.1]]]])
    label = np.array([[[1, 0]], [[1, 0]]], dtype=np.uint8)
    rows = task.statistics(prediction, label)
    np.testing.assert_array_equal(task.metrics(rows)["ods_pixel_f"], [1, 1])
    # over both, every pixel down to .3 has P = 2/3, R = 1
    assert task.metrics(rows.sum(axis=0))["ods_pixel_f"] == pytest.approx(0.8)


def test_an_edge_one_pixel_off_does_not_match():
    label = np.zeros((1, 8, 8), dtype=np.uint8)
    label[0, :, 3] = 1
    shifted = np.where(np.roll(label, 1, axis=2) == 1, 8.0, -8.0)[:, None].astype(np.float32)
    f = Edge().metrics(Edge().statistics(shifted, label)[0])["ods_pixel_f"]
    assert f == pytest.approx(2 * 8 / (8 + 64))  # no better than calling everything an edge


def test_without_a_positive_pixel_f_is_undefined_but_miou_is_not():
    scores = judge(Saliency(), [0.1, 0.1, 0.999], [0, 0, 0])
    assert np.isnan(scores["max_f"])
    assert scores["miou"] == pytest.approx((2 / 3 + 0) / 2)
    assert judge(Saliency(), [0.1, 0.1], [0, 0])["miou"] == 1


def test_a_constant_prediction_scores_the_base_rate():
    f = judge(Edge(), [0.4] * 8, [1, 1, 0, 0, 0, 0, 0, 0])["ods_pixel_f"]
    assert f == pytest.approx(2 * 0.25 / 1.25)


def test_labels_that_are_not_binary_are_refused():
    with pytest.raises(DataError, match="Binarise"):
        Edge().statistics(np.zeros((1, 1, 1, 1), dtype=np.float32), np.full((1, 1, 1), 2, dtype=np.uint8))


def test_hed_loss_balances_the_batch():
    label = torch.tensor([[[1, 0, 0, 0]], [[255, 0, 0, 0]]], dtype=torch.uint8)
    logits = torch.randn(2, 1, 1, 4, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for truth, value in zip(label.flatten().tolist(), logits.flatten().double().tolist(), strict=True):
        p = brute.sigmoid(value)
        total += {1: -6 / 7 * np.log(p), 0: -1 / 7 * np.log(1 - p), 255: 0.0}[truth]
    assert Saliency().loss(logits, label).item() == pytest.approx(total / 7, rel=1e-6)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("task", [Saliency(), Edge()])
def test_a_batch_of_one_class_has_a_finite_loss_and_gradient(task, value):
    logits = torch.tensor([[[[-200.0, 0.0, 200.0]]]], requires_grad=True)
    loss = task.loss(logits, torch.full((1, 1, 3), value, dtype=torch.uint8))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_edge_loss_weighs_positives_nineteen_times():
    loss = Edge().loss
    zero = torch.zeros(1, 1, 1, 1)
    on, off = (loss(zero, torch.full((1, 1, 1), v, dtype=torch.uint8)).item() for v in (1, 0))
    assert on == pytest.approx(0.95 * np.log(2))
    assert on / off == pytest.approx(19, rel=1e-5)
