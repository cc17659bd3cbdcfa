"""Cost units: the smallest pieces of a network that a decision can switch, with their closed-form MACs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CostUnit", "total_macs"]


@dataclass(frozen=True, slots=True)
class CostUnit:
    """One piece of work per image at full compute.

    Args:
        id: unique in its network, dotted (`encoder.block.3.mlp`).
        part: what the audit groups by: `encoder.stem`, `encoder.block.3`, `head.semseg`, `policy`, `sharing`, ...
        macs: multiply-accumulates per image, from shapes alone.
    """

    id: str
    part: str
    macs: int

    def prefixed(self, prefix: str) -> CostUnit:
        """The same unit under `prefix.`, where a network holds several copies (T single-task networks)."""
        return CostUnit(f"{prefix}.{self.id}", self.part, self.macs)


def total_macs(units: list[CostUnit]) -> int:
    """MACs per image of all units together."""
    return sum(unit.macs for unit in units)
