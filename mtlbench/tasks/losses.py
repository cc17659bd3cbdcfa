"""The losses, in torch: each a scalar, the mean over the valid pixels of the batch.

Where nothing is valid they are zero with a zero gradient: sums are divided by at least one. All compute in
float32, whatever precision the prediction comes in.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.tasks._pooled import IGNORE

__all__ = ["batch_balanced_bce", "cross_entropy", "depth_l1", "unit_vector_l1", "weighted_bce"]


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross entropy in nats.

    Args:
        logits: [B, K, H, W].
        label: [B, H, W], any integer type, 255 = ignore.
    """
    total = F.cross_entropy(logits.float(), label.long(), ignore_index=IGNORE, reduction="sum")
    return total / _at_least_one(label != IGNORE)


def batch_balanced_bce(logits: Tensor, label: Tensor) -> Tensor:
    """Binary cross entropy with each class weighted by the other's share of the batch.

    Xie and Tu (HED), ICCV 2015, eq. 2, but balanced over the batch as in the code of Vandenhende et al. and
    AdaMTL, and over valid pixels only. A batch of one class alone has loss zero: the rarer class decides, and
    there is none.

    Args:
        logits: [B, 1, H, W].
        label: [B, H, W] in {0, 1, 255 = ignore}.
    """
    positive_weight = (label == 0).sum() / _at_least_one(label != IGNORE)
    return weighted_bce(logits, label, positive_weight)


def weighted_bce(logits: Tensor, label: Tensor, positive_weight: float | Tensor) -> Tensor:
    """Binary cross entropy with positives weighted w and negatives 1 - w.

    Args:
        logits: [B, 1, H, W].
        label: [B, H, W] in {0, 1, 255 = ignore}.
        positive_weight: w, between 0 and 1.
    """
    positive = (label == 1).float()
    negative = (label == 0).float()
    weight = positive_weight * positive + (1 - positive_weight) * negative
    total = F.binary_cross_entropy_with_logits(logits[:, 0].float(), positive, weight, reduction="sum")
    return total / _at_least_one(label != IGNORE)


def unit_vector_l1(vectors: Tensor, label: Tensor) -> Tensor:
    """L1 between unit vectors, per scalar.

    Args:
        vectors: [B, 3, H, W], of any length.
        label: [B, H, W, 3] unit vectors; zero or non-finite = missing.
    """
    valid = (label.isfinite().all(-1) & (label != 0).any(-1))[..., None]
    truth = torch.where(valid, label.float(), 0.0)
    # the wide eps bounds the gradient at a vector that is almost zero
    guess = F.normalize(vectors.float(), dim=1, eps=1e-6).permute(0, 2, 3, 1)
    total = ((guess - truth).abs() * valid).sum()
    return total / (3 * _at_least_one(valid))


def depth_l1(prediction: Tensor, label: Tensor) -> Tensor:
    """L1 in metres.

    Args:
        prediction: [B, 1, H, W] in metres.
        label: [B, H, W] in metres; what is not finite and above 0 is missing.
    """
    valid = label.isfinite() & (label > 0)
    truth = torch.where(valid, label.float(), 0.0)
    total = ((prediction[:, 0].float() - truth).abs() * valid).sum()
    return total / _at_least_one(valid)


def _at_least_one(valid: Tensor) -> Tensor:
    return valid.sum().clamp(min=1)
