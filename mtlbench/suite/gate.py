"""The `gate` section of a suite: what a comparison of two runs lets pass.

Every field's description is what `docs/suite-reference.md` prints, so it is written for users.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TIERS", "Gate", "TierName"]

TierName = Literal["exact", "quality", "time", "front"]
TIERS: tuple[TierName, ...] = ("exact", "quality", "time", "front")

Percent = Annotated[float, Field(ge=0, le=1000)]
Thresholds = dict[str, Percent]


class Gate(BaseModel):
    """What `compare` and `gate` let pass, and how long they look."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    place: Literal["shared", "quiet", "gpu"] = Field(
        default="shared",
        description="where it runs: on a `shared` machine 10 % of time pass, on a `quiet` one of your own and on a "
        "`gpu` with fixed clocks 3 %",
    )
    tiers: list[TierName] = Field(
        default=list(TIERS),
        min_length=1,
        description="what is compared: `exact` counts, `quality`, `time` (energy and memory too), the Pareto `front`",
    )
    thresholds: Thresholds = Field(
        default_factory=dict,
        description="change in percent that passes, by column or shell pattern, such as `latency_ms: 5`; the last that "
        "matches counts, before any default (docs/comparing.md)",
    )
    cells: dict[str, Thresholds] = Field(
        default_factory=dict,
        description="the same for cells whose label or id matches a shell pattern; counts before `thresholds`",
    )
    blocks: int = Field(
        default=10, ge=7, le=200, description="pairs of launches that every cell gets, and is flagged by"
    )
    confirm_blocks: int = Field(
        default=20, ge=10, le=400, description="further pairs that a flagged cell gets, and is confirmed by"
    )
    quiet_required: bool = Field(
        default=False,
        description="refuse a machine where other work disturbed half of the timed launches (exit code 5)",
    )

    def explicit(self, label: str, cell_id: str, metric: str) -> float | None:
        """The threshold in percent that the suite gives this column of this cell; None where it gives none."""
        for pattern, thresholds in reversed(self.cells.items()):
            if fnmatchcase(label, pattern) or fnmatchcase(cell_id, pattern):
                found = _last(thresholds, metric)
                if found is not None:
                    return found
        return _last(self.thresholds, metric)

    def passes(self, label: str, cell_id: str, metric: str, default: float) -> float:
        """The change in percent that passes: what the suite says, else `default`."""
        explicit = self.explicit(label, cell_id, metric)
        return default if explicit is None else explicit

    def patterns(self) -> list[str]:
        """Every pattern of columns that the section names."""
        return list(dict.fromkeys([*self.thresholds, *(key for own in self.cells.values() for key in own)]))


def _last(thresholds: Thresholds, metric: str) -> float | None:
    return next((value for key, value in reversed(thresholds.items()) if fnmatchcase(metric, key)), None)
