"""A variant on a small problem, and what is raised where it breaks a promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtlbench.training.artifact import Named, Problem
from mtlbench.variants.base import Point, Variant

__all__ = ["Case", "ConformanceError"]


class ConformanceError(AssertionError):
    """A variant breaks the contract; the message says which promise, and how."""


@dataclass(frozen=True)
class Case:
    """A variant on a small problem.

    Args:
        variant: the class.
        problem: what to build for.
        images: normalised input [B, 3, H, W], B of at least 2.
        options: of the variant.
        seed: of the random weights.
    """

    variant: type[Variant]
    problem: Problem
    images: Tensor
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def small(cls, variant: type[Variant], **options: Any) -> Case:
        """A nano vision transformer with three tasks on three images of 32 x 48 pixels: busy, faint and flat.

        They differ in contrast by far, so that a variant that decides for each image has something to decide.
        """
        problem = Problem(
            (32, 48),
            Named("vit", {"arch": "nano", "patch": 8}),
            Named("multiscale", {"width": 16}),
            (Named("semseg", {"classes": ["wall", "floor", "thing"]}), Named("depth"), Named("normals")),
        )
        images = torch.randn(3, 3, 32, 48, generator=torch.Generator().manual_seed(1))
        images *= torch.tensor([1.5, 0.4, 0.02]).view(3, 1, 1, 1)
        return cls(variant, problem, images, options)

    def build(self, point: Point | None = None) -> Variant:
        """The variant with random weights, built for one point as a cell is; for full compute by default."""
        variant = self.variant(self.problem, **self.options)
        variant.build(point or self.full(), self.seed, None)
        return variant

    def full(self) -> Point:
        """The point of full compute."""
        return {axis.name: axis.grid[0] for axis in self.variant.axes}

    def points(self) -> list[Point]:
        """Full compute, and every other point of every axis with the other axes at full compute."""
        full = self.full()
        others = [{**full, axis.name: value} for axis in self.variant.axes for value in axis.grid[1:]]
        return [full, *others]
