"""What became of every key of a weights file and of every parameter of an encoder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Account", "describe", "listed"]

_SHOWN = 10


@dataclass(frozen=True)
class Account:
    """The books of one loading.

    Args:
        file: name of the file, without its folder.
        sha256: of the file.
        layout: key layout that the file was read as, with the prefix that its keys had.
        loaded: names of the parameters and buffers that came from the file as they are.
        resized: by name, how a value of another size was fitted.
        left_out: by key of the file, why it was left out on purpose.
        missing: parameters and buffers that the file does not hold and that keep their start values.
        unexpected: keys of the file that have no counterpart; loading is refused where there are any.
        notes: what else a reader should know.
    """

    file: str
    sha256: str
    layout: str
    loaded: tuple[str, ...] = ()
    resized: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def describe(account: Account) -> str:
    """The account as text, one fact a line."""
    total = len(account.loaded) + len(account.resized) + len(account.missing)
    lines = [
        f"{account.file} (SHA-256 {account.sha256[:12]}), read as {account.layout}",
        f"  loaded: {len(account.loaded) + len(account.resized)} of {total} parameters and buffers",
        *(f"  resized: {name}, {how}" for name, how in account.resized.items()),
    ]
    if account.missing:
        lines.append(f"  not in the file, kept at their start values: {listed(account.missing)}")
    by_reason: dict[str, list[str]] = defaultdict(list)
    for key, why in account.left_out.items():
        by_reason[why].append(key)
    lines += [f"  left out ({why}): {listed(keys)}" for why, keys in by_reason.items()]
    if account.unexpected:
        lines.append(f"  no counterpart: {listed(account.unexpected)}")
    return "\n".join([*lines, *(f"  note: {note}" for note in account.notes)])


def listed(names: Iterable[str]) -> str:
    """How many names, and the first ten of them."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} ({', '.join(names[:_SHOWN])}{more})"
