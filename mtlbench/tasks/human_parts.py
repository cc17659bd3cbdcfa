"""Human part segmentation."""

from __future__ import annotations

from mtlbench.tasks._classmap import ClassMapTask

__all__ = ["HumanParts"]


class HumanParts(ClassMapTask):
    """Parts of people. Class 0 is background and enters the mean like any other class.

    An image without people is all ignored, so it says nothing about this task. Loss weight 2 as in the code
    of Vandenhende et al., TPAMI 2021, and of AdaMTL.
    """

    name = "human_parts"
    loss_weight = 2.0
