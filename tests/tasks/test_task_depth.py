"""Metric depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench.tasks.depth import Depth


def judge(prediction, label):
    rows = Depth().statistics(np.float32([[[prediction]]]), np.float32([[label]]))
    return Depth().metrics(rows[0])


def test_closed_forms():
    scores = judge([2.0, 3.0, 8.0], [1.0, 3.0, 4.0])
    assert scores["rmse_m"] == pytest.approx(np.sqrt((1 + 0 + 16) / 3))
    assert scores["abs_rel"] == pytest.approx((1 + 0 + 1) / 3)
    assert scores["delta1"] == pytest.approx(1 / 3)


def test_the_ratio_is_strictly_below_1_25_both_ways():
    scores = judge([5.0, 4.0, 4.96, 4.04], [4.0, 5.0, 4.0, 5.0])
    assert scores["delta1"] == 0.5


def test_predictions_that_are_not_positive_are_never_within():
    scores = judge([0.0, -2.0], [2.0, 2.0])
    assert scores["delta1"] == 0
    assert scores["rmse_m"] == pytest.approx(np.sqrt((4 + 16) / 2))


@pytest.mark.parametrize("missing", [0.0, -1.0, np.nan, np.inf])
def test_missing_depth_does_not_count(missing):
    assert judge([100.0, 3.0], [missing, 3.0]) == {"rmse_m": 0, "abs_rel": 0, "delta1": 1}
    prediction = torch.tensor([[[[100.0, 4.0]]]], requires_grad=True)
    loss = Depth().loss(prediction, torch.tensor([[[missing, 3.0]]]))
    loss.backward()
    assert loss.item() == 1
    assert prediction.grad.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_voids_its_image(value):
    assert all(np.isnan(score) for score in judge([value, 3.0], [3.0, 3.0]).values())


def test_a_squared_mean_is_not_the_mean_of_images():
    label = np.ones((2, 1, 2), dtype=np.float32)
    label[1, 0, 1] = 0
    rows = Depth().statistics(np.float32([[[[2, 2]]], [[[4, 9]]]]), label)
    assert Depth().metrics(rows.sum(axis=0))["rmse_m"] == pytest.approx(np.sqrt((1 + 1 + 9) / 3))


def test_pictures_span_the_range_of_their_image():
    picture = Depth().render(np.float32([[1, 2, 5, 0]]))[0]
    assert tuple(picture[0]) == (68, 1, 84)  # the two ends of viridis
    assert tuple(picture[2]) == (253, 231, 36)
    assert tuple(picture[3]) == (128, 128, 128)
    assert (Depth().render(np.float32([[3, 3]])) == picture[0]).all()
