"""Surface normals."""

from __future__ import annotations

import numpy as np
import pytest
import task_brute as brute
import torch

from mtlbench.tasks.normals import Normals


def judge(prediction, label):
    """Metrics of single vectors [N, 3] against [N, 3]."""
    task = Normals()
    p = np.moveaxis(np.asarray(prediction, dtype=np.float32)[None, None], -1, 1)
    rows = task.statistics(p, np.asarray(label, dtype=np.float32)[None, None])
    return task.metrics(rows[0])


def tilted(degrees):
    angle = np.radians(degrees)
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=-1)


def test_mean_and_rmse_are_two_things():
    scores = judge(tilted(np.array([10.0, 20.0, 40.0])), np.tile([0, 0, -1.0], (3, 1)))
    assert scores["mean_angle_deg"] == pytest.approx(70 / 3, rel=1e-6)
    assert scores["rmse_deg"] == pytest.approx(np.sqrt(2100 / 3), rel=1e-6)
    assert [scores[f"within_{k}"] for k in ("11_25", "22_5", "30")] == pytest.approx([1 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("degrees", [1e-5, 1e-3, 0.1, 90, 179.99, 180])
def test_angles_are_exact_where_acos_is_not(degrees):
    small = np.radians(degrees)
    guess = [[np.sin(small), 0.0, -np.cos(small)]]
    assert judge(guess, [[0, 0, -1.0]])["mean_angle_deg"] == pytest.approx(degrees, rel=1e-6)


def test_length_does_not_matter_and_a_zero_prediction_is_no_free_point():
    label = brute.unit(np.random.default_rng(0).normal(size=(4, 3)))
    # powers of two scale a float without rounding
    assert judge(label * [[0.5], [1024], [2.0**-60], [1]], label)["mean_angle_deg"] == pytest.approx(
        0, abs=1e-5
    )
    assert judge(np.zeros((4, 3)), label)["mean_angle_deg"] == 90


def test_opposite_and_swapped_axes_are_seen():
    label = np.eye(3)
    assert judge(-label, label)["mean_angle_deg"] == 180
    assert judge(label[:, [1, 0, 2]], label)["mean_angle_deg"] == pytest.approx(60)


def test_flip_turns_x_round_and_moves_pixels():
    label = np.zeros((1, 2, 3), dtype=np.float32)
    label[0, 0] = [0.6, 0.0, -0.8]
    np.testing.assert_array_equal(
        Normals().flip(label), np.array([[[0, 0, 0], [-0.6, 0, -0.8]]], dtype=np.float32)
    )


def test_a_wall_facing_the_camera_is_light_blue_and_a_floor_is_green():
    label = np.array([[[0, 0, -1], [0, -1, 0], [1, 0, 0], [0, 0, 0]]], dtype=np.float32)
    picture = Normals().render(label)[0].tolist()
    assert picture == [[128, 128, 255], [128, 255, 128], [255, 128, 128], [128, 128, 128]]


def test_loss_is_l1_per_scalar_between_unit_vectors():
    label = torch.zeros(1, 1, 3, 3)
    label[0, 0, 0] = torch.tensor([0.0, 0.0, -1.0])
    label[0, 0, 1] = torch.tensor([1.0, 0.0, 0.0])
    prediction = torch.tensor([[0.0, 0, -7], [0, 3, 0], [5, 5, 5]]).T.reshape(1, 3, 1, 3)
    assert Normals().loss(prediction, label).item() == pytest.approx(2 / 6)


def test_loss_has_a_finite_gradient_at_a_zero_vector():
    prediction = torch.zeros(1, 3, 1, 1, requires_grad=True)
    Normals().loss(prediction, torch.tensor([[[[0.0, 0.0, 1.0]]]])).backward()
    assert torch.isfinite(prediction.grad).all()


def test_non_finite_labels_are_missing():
    label = np.array([[[[np.nan, 0, 1], [0, 0, 1]]]], dtype=np.float32)
    prediction = np.moveaxis(np.array([[[[1, 0, 0], [0, 0, 1]]]], dtype=np.float32), -1, 1)
    assert Normals().statistics(prediction, label)[0].tolist() == [0, 0, 1, 1, 1, 1]
    loss = Normals().loss(torch.from_numpy(prediction), torch.from_numpy(label))
    assert loss.item() == pytest.approx(0)
