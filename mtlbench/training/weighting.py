"""How the losses of several tasks become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["FixedWeighting", "UncertaintyWeighting", "make_weighting"]


class FixedWeighting(nn.Module):
    """The weighted sum; a term without a weight counts once."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self._weights = dict(weights)

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Scalar total of scalar losses."""
        return torch.stack([self._weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


class UncertaintyWeighting(nn.Module):
    """Learned homoscedastic uncertainty: sum of exp(-s) L + s / 2 with s = log variance.

    Kendall, Gal and Cipolla, CVPR 2018, equation 7 in the log-variance form.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in names})

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Scalar total of scalar losses."""
        return torch.stack([self._term(name, loss) for name, loss in losses.items()]).sum()

    def _term(self, name: str, loss: Tensor) -> Tensor:
        """A term that is no task (a budget, say) has no uncertainty, and counts once."""
        if name not in self.log_variance:
            return loss
        log_variance: Tensor = self.log_variance[name]
        term = torch.exp(-log_variance) * loss + log_variance / 2
        # A loss of exactly 0 is a batch without any label of the task: it says nothing about its uncertainty.
        return torch.where(loss.detach() == 0, 0 * log_variance + loss, term)


def make_weighting(kind: str, weights: Mapping[str, float]) -> nn.Module:
    """The weighting that a protocol names, for tasks with these fixed weights."""
    return UncertaintyWeighting(list(weights)) if kind == "uncertainty" else FixedWeighting(weights)
