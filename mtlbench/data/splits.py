"""Fixed splits by hashing: the same ids, the same splits on every machine, and none chosen by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from mtlbench.errors import DataError

__all__ = ["hashed_order", "hashed_splits"]


def hashed_order(names: Iterable[str], salt: str) -> list[str]:
    """`names` in the order of SHA-256 of `salt/name`: fixed, but unrelated to what the names mean."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())


def hashed_splits(
    ids: Iterable[str], sizes: Mapping[str, int], salt: str, groups: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Deal ids into splits of exactly the given sizes, keeping groups together (ours).

    Groups are taken in hashed order, and each goes to the first split that still has room for all of it.
    Within a split the dealing order stays, so the first n ids are a random subset that grows with n.

    Args:
        ids: unique sample ids, in any order.
        sizes: ids per split, in the order in which the splits are filled; they sum to the number of ids.
        salt: names the division; another salt gives an independent one.
        groups: for ids that must not be separated (near-duplicates), the name of their group. Every other id
            is a group of its own.

    Raises:
        DataError: the sizes do not sum to the number of ids, or a group fits nowhere.
    """
    members: dict[str, list[str]] = {}
    for sample in sorted(ids):
        members.setdefault((groups or {}).get(sample, sample), []).append(sample)
    total = sum(len(group) for group in members.values())
    if total != sum(sizes.values()):
        raise DataError(
            f"splits of {dict(sizes)} samples do not add up to the {total} samples that there are"
        )

    splits: dict[str, list[str]] = {name: [] for name in sizes}
    for group in hashed_order(members, salt):
        room = (name for name in sizes if len(splits[name]) + len(members[group]) <= sizes[name])
        name = next(room, None)
        if name is None:
            raise DataError(
                f"the group {members[group]} fits into no split of {dict(sizes)}",
                fix="Choose other split sizes",
            )
        splits[name].extend(members[group])
    return {name: tuple(chosen) for name, chosen in splits.items()}
