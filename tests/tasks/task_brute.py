"""Metrics of tasks written again as slowly and plainly as possible: loops and sets over single pixels."""

from __future__ import annotations

import math

import numpy as np

NAN = float("nan")
CLASSES = ["a", "b", "c", "d"]


def pixels(label, *maps):
    """(label, map, ...) of every pixel; labels [B, H, W, ...], maps [B, H, W, ...]."""
    for index in np.ndindex(label.shape[:3]):
        yield (label[index], *(m[index] for m in maps))


def class_metrics(prediction, label):
    labelled, predicted = {}, {}
    for index in np.ndindex(label.shape):
        image, row, column = index
        if label[index] == 255:
            continue
        scores = list(prediction[image, :, row, column])
        predicted.setdefault(scores.index(max(scores)), set()).add(index)
        labelled.setdefault(int(label[index]), set()).add(index)
    present = set(labelled) | set(predicted)
    if not present:
        return {"miou": NAN, "pixel_accuracy": NAN}
    ious, right, total = [], 0, 0
    for c in present:
        ours, theirs = predicted.get(c, set()), labelled.get(c, set())
        ious.append(len(ours & theirs) / len(ours | theirs))
        right += len(ours & theirs)
        total += len(theirs)
    return {"miou": sum(ious) / len(ious), "pixel_accuracy": right / total}


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def binary_counts(logits, label, threshold):
    tp = fp = fn = tn = 0
    for truth, logit in pixels(label, logits):
        if truth == 255:
            continue
        said = sigmoid(float(logit)) >= threshold
        tp += said and truth == 1
        fp += said and truth == 0
        fn += (not said) and truth == 1
        tn += (not said) and truth == 0
    return tp, fp, fn, tn


def binary_miou(logits, label):
    tp, fp, fn, tn = binary_counts(logits, label, 0.5)
    ious = [hit / (hit + fp + fn) for hit in (tp, tn) if hit + fp + fn]
    return sum(ious) / len(ious) if ious else NAN


def best_f(logits, label, beta2):
    best = NAN
    for k in range(256):
        tp, fp, fn, _ = binary_counts(logits, label, k / 256)
        if tp + fn == 0:
            return NAN
        precision = tp / (tp + fp) if tp + fp else 0.0
        recall = tp / (tp + fn)
        f = (1 + beta2) * precision * recall / (beta2 * precision + recall) if tp else 0.0
        best = f if math.isnan(best) else max(best, f)
    return best


def normals_metrics(prediction, label):
    angles = []
    for truth, guess in pixels(label, np.moveaxis(prediction, 1, -1)):
        if not any(truth):
            continue
        p, g = [float(v) for v in guess], [float(v) for v in truth]
        length = math.sqrt(sum(v * v for v in p)) * math.sqrt(sum(v * v for v in g))
        cosine = sum(a * b for a, b in zip(p, g, strict=True)) / length
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    names = ["mean_angle_deg", "rmse_deg", "within_11_25", "within_22_5", "within_30"]
    if not angles:
        return dict.fromkeys(names, NAN)
    n = len(angles)
    shares = [sum(a < limit for a in angles) / n for limit in (11.25, 22.5, 30)]
    return dict(
        zip(names, [sum(angles) / n, math.sqrt(sum(a * a for a in angles) / n), *shares], strict=True)
    )


def depth_metrics(prediction, label):
    squares, relatives, within = [], [], []
    for truth, guess in pixels(label, prediction[:, 0]):
        g, p = float(truth), float(guess)
        if not math.isfinite(g) or g <= 0:
            continue
        squares.append((p - g) ** 2)
        relatives.append(abs(p - g) / g)
        within.append(p > 0 and max(p / g, g / p) < 1.25)
    n = len(squares)
    if not n:
        return {"rmse_m": NAN, "abs_rel": NAN, "delta1": NAN}
    return {"rmse_m": math.sqrt(sum(squares) / n), "abs_rel": sum(relatives) / n, "delta1": sum(within) / n}


def metrics(name, prediction, label):
    """The reference metrics of task `name`."""
    if name in ("semseg", "human_parts"):
        return class_metrics(prediction, label)
    if name == "saliency":
        logits = prediction[:, 0]
        return {"miou": binary_miou(logits, label), "max_f": best_f(logits, label, 0.3)}
    if name == "edge":
        return {"ods_pixel_f": best_f(prediction[:, 0], label, 1.0)}
    return {"normals": normals_metrics, "depth": depth_metrics}[name](prediction, label)


def make(name):
    """The task, with options where it needs them."""
    from mtlbench.tasks import registry

    options = {"classes": CLASSES} if name in ("semseg", "human_parts") else {}
    return registry.get(name)(**options)


def random_label(name, rng, images=3, size=(4, 5), missing=0.2):
    """A batch of labels of which about `missing` of the pixels are ignored."""
    shape = (images, *size)
    gone = rng.random(shape) < missing
    if name == "normals":
        label = unit(rng.normal(size=(*shape, 3)))
        label[gone] = 0
        return label.astype(np.float32)
    if name == "depth":
        return np.where(gone, rng.choice([0, np.nan, np.inf], shape), rng.uniform(0.5, 9, shape)).astype(
            np.float32
        )
    classes = len(CLASSES) if name in ("semseg", "human_parts") else 2
    return np.where(gone, 255, rng.integers(0, classes, shape)).astype(np.uint8)


def random_prediction(name, rng, images=3, size=(4, 5)):
    prediction = 2 * rng.normal(size=(images, make(name).channels, *size))
    return (prediction + (4 if name == "depth" else 0)).astype(np.float32)


def perfect_prediction(name, label):
    """Head outputs that say exactly what the label says (anything where it is ignored)."""
    if name in ("semseg", "human_parts"):
        return np.stack([np.where(label == k, 5.0, -5.0) for k in range(len(CLASSES))], 1).astype(np.float32)
    if name == "normals":
        return np.moveaxis(label * 4, -1, 1)
    if name == "depth":
        return np.nan_to_num(label, posinf=0)[:, None]
    return np.where(label == 1, 8.0, -8.0)[:, None].astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
