"""Semantic segmentation."""

from __future__ import annotations

from mtlbench.tasks._classmap import ClassMapTask

__all__ = ["SemSeg"]


class SemSeg(ClassMapTask):
    """One semantic class per pixel; whether there is a background class is the dataset's choice.

    Loss weight 1 as in the code of Vandenhende et al., TPAMI 2021, and of AdaMTL.
    """

    name = "semseg"
    loss_weight = 1.0
