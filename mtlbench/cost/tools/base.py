"""What every other counter gives: a total, and the difference to ours in named pieces."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mtlbench.cost.counter import CostCount

__all__ = ["PRODUCT_MODULES", "Difference", "OurCount", "TensorsOut", "ToolCount"]

PRODUCT_MODULES = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""The modules that every counter knows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One reason why a tool's total is not ours.

    Args:
        macs: how much more the tool counts; negative where it leaves something out.
        what: the operators or things it is about.
        known: False where nothing known explains it.
    """

    macs: int
    what: str
    known: bool = True

    def __str__(self) -> str:
        if not self.known:
            return f"differs by another {self.macs:+d} {self.what} that nothing known explains"
        if self.macs > 0:
            return f"adds {self.macs} for {self.what}"
        return f"leaves out {-self.macs} MACs of {self.what}"


@dataclass(frozen=True, slots=True)
class ToolCount:
    """What one tool says about one image.

    Args:
        tool: `fvcore`, `ptflops` or `torch`.
        macs: its total in MACs; None where it failed.
        conv_linear: its MACs of convolutions and linear layers; None where it failed or does not tell.
        differences: they add up to `macs` minus our own count.
        failure: the error it ended with; empty where it did not.
    """

    tool: str
    macs: int | None = None
    conv_linear: int | None = None
    differences: tuple[Difference, ...] = ()
    failure: str = ""

    @property
    def notes(self) -> list[str]:
        """Each difference, or the failure, as a sentence."""
        if self.failure:
            return [f"{self.tool} failed: {self.failure}"]
        return [f"{self.tool} {difference}" for difference in self.differences]


@dataclass(frozen=True, slots=True)
class OurCount:
    """Our own count of one image, split as the tools need it.

    Args:
        count: by operator as the network calls it: under `inference_mode`, without the fused fast path, which
            hides linear layers.
        conv_linear: MACs of convolutions and linear layers.
        conv_linear_modules: of those that are modules.
        biases: additions of biases in these modules.
    """

    count: CostCount
    conv_linear: int
    conv_linear_modules: int
    biases: int


class TensorsOut(nn.Module):
    """A network whose result is a flat tuple of tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The tensors in whatever the network returns."""
        return tuple(leaf for leaf in tree_leaves(self.module(x)) if isinstance(leaf, Tensor))
