"""Semantic segmentation and human parts."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import task_brute as brute
import torch

from mtlbench.errors import DataError
from mtlbench.tasks.human_parts import HumanParts
from mtlbench.tasks.semseg import SemSeg


def one_hot(classes, k):
    return np.moveaxis(np.eye(k, dtype=np.float32)[classes], -1, 1)


def judge(predicted, label, k=4):
    task = SemSeg(classes=[str(i) for i in range(k)])
    rows = task.statistics(one_hot(np.array([[predicted]]), k), np.array([[label]], dtype=np.uint8))
    return task.metrics(rows[0])


def test_rows_of_the_matrix_are_labels_and_columns_predictions():
    task = SemSeg(classes=["a", "b", "c"])
    label = np.array([[[0, 0, 1, 255]]], dtype=np.uint8)
    rows = task.statistics(one_hot(np.array([[[0, 2, 2, 1]]]), 3), label)
    np.testing.assert_array_equal(rows.reshape(3, 3), [[1, 0, 1], [0, 0, 1], [0, 0, 0]])


def test_an_absent_class_is_left_out_and_a_class_only_predicted_counts_zero():
    assert judge([0, 0, 1, 1], [0, 0, 1, 1])["miou"] == 1
    assert judge([0, 0, 1, 3], [0, 0, 1, 1])["miou"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert judge([0, 0, 1, 3], [0, 0, 1, 1])["pixel_accuracy"] == pytest.approx(3 / 4)


def test_miou_is_pooled_over_images_not_averaged():
    task = SemSeg(classes=["a", "b"])
    label = np.array([[[0, 0, 0, 0]], [[1, 0, 0, 0]]], dtype=np.uint8)
    rows = task.statistics(one_hot(np.array([[[0, 0, 0, 0]], [[0, 0, 0, 0]]]), 2), label)
    assert task.metrics(rows.sum(axis=0))["miou"] == pytest.approx((7 / 8 + 0) / 2)
    np.testing.assert_allclose(task.metrics(rows)["miou"], [1, 3 / 8])


def test_swapped_channels_are_seen():
    task = brute.make("semseg")
    label = brute.random_label("semseg", np.random.default_rng(0))
    swapped = brute.perfect_prediction("semseg", label)[:, [1, 0, 2, 3]]
    scores = task.metrics(task.statistics(swapped, label).sum(axis=0))
    right = ((label == 2) | (label == 3)).sum() / (label != 255).sum()
    assert scores["miou"] == pytest.approx(0.5)
    assert scores["pixel_accuracy"] == pytest.approx(right)


def test_background_counts_in_human_parts_and_empty_images_say_nothing():
    task = HumanParts(classes=["background", "head", "torso"])
    label = np.array([[[0, 0, 1, 1]], [[255, 255, 255, 255]]], dtype=np.uint8)
    rows = task.statistics(one_hot(np.array([[[0, 1, 1, 1]], [[2, 2, 2, 2]]]), 3), label)
    assert not rows[1].any()
    assert task.metrics(rows.sum(axis=0))["miou"] == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_label_that_is_no_class_is_refused(dtype):
    task = brute.make("semseg")
    label = np.full((1, 2, 2), 4, dtype=dtype)
    with pytest.raises(DataError, match="holds class 4, but the task has 4 classes"):
        task.statistics(np.zeros((1, 4, 2, 2), dtype=np.float32), label)


@pytest.mark.parametrize("classes", [[], ["one"], [str(i) for i in range(256)]])
def test_class_lists_that_cannot_be_labels_are_refused(classes):
    with pytest.raises(pydantic.ValidationError):
        SemSeg(classes=classes)


def test_options_resolve_to_json():
    assert SemSeg.resolve({"classes": ["a", "b"]}) == {"classes": ["a", "b"]}


def test_255_classes_are_all_usable():
    task = SemSeg(classes=[str(i) for i in range(255)])
    label = np.arange(255, dtype=np.uint8).reshape(1, 15, 17)
    rows = task.statistics(one_hot(label.astype(int), 255), label)
    assert task.metrics(rows[0])["miou"] == 1


def test_cross_entropy_of_a_uniform_guess_is_log_k():
    task = brute.make("semseg")
    label = torch.tensor([[[0, 1, 255, 3]]], dtype=torch.uint8)
    assert task.loss(torch.zeros(1, 4, 1, 4), label).item() == pytest.approx(np.log(4))
