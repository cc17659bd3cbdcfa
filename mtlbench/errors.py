"""Every error that mtlbench raises on purpose.

```
MtlbenchError                 70  the root; raised itself only for internal faults
├── UsageError                 2  the command or the suite asks for what no machine could do
│   ├── SuiteError             2  a suite file is wrong; says file:line:column
│   ├── UnknownNameError       2  nothing of that name is registered; says the nearest
│   └── DataError              2  data is missing or corrupt; names the file
├── CellFailedError            4  cells failed, are missing, or cannot be compared
│   ├── TrainingError          4  an artifact could not be trained; says step and task
│   └── JournalError           4  a journal cannot be read; says file and line number
└── MachineUnfitError          5  the machine cannot measure what the suite demands
```

Each message says where, what, and what to do. `exit_code` is what the command line returns (DESIGN section 3).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CellFailedError",
    "DataError",
    "JournalError",
    "MachineUnfitError",
    "MtlbenchError",
    "SuiteError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
    "did_you_mean",
]


class MtlbenchError(Exception):
    """Root of the tree.

    Args:
        what: what is wrong, one sentence without a full stop.
        where: a place the user can open, such as `suite.yaml:3:5` or a file name.
        fix: what to do about it, one sentence without a full stop.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.fix}." if self.fix else head


class UsageError(MtlbenchError):
    """The command or the suite asks for what no machine could do."""

    exit_code = 2


class SuiteError(UsageError):
    """A suite file is wrong; `where` is `file:line:column`."""


class UnknownNameError(UsageError):
    """Nothing of that name is registered."""


class DataError(UsageError):
    """Data is missing or corrupt; `where` names the file."""


class CellFailedError(MtlbenchError):
    """Cells failed, are missing, or cannot be compared."""

    exit_code = 4


class TrainingError(CellFailedError):
    """An artifact could not be trained; the message names step and task."""


class JournalError(CellFailedError):
    """A journal cannot be read; `where` is `file:line`."""


class MachineUnfitError(MtlbenchError):
    """The machine cannot measure what the suite demands."""

    exit_code = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest, or which exist: a sentence without a full stop."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}"
    return f"Known: {', '.join(names)}" if names else "None exist"
