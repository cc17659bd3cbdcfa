from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.data.splits import hashed_order, hashed_splits
from mtlbench.errors import DataError

IDS = [f"{i:03d}" for i in range(100)]
SIZES = {"test": 20, "val": 10, "train": 70}


def test_order_is_that_of_the_digests() -> None:
    digests = {name: hashlib.sha256(b"salt/" + name.encode()).hexdigest() for name in IDS}
    assert hashed_order(IDS, "salt") == [
        name for name, _ in sorted(digests.items(), key=lambda item: item[1])
    ]


def test_order_is_the_same_on_every_machine() -> None:
    # `printf salt/a | sha256sum` and so on start with e8, 1b, 5a and 64.
    assert hashed_order("abcd", "salt") == ["b", "c", "d", "a"]


@given(st.permutations(IDS))
def test_splits_do_not_depend_on_the_order_of_ids(ids: list[str]) -> None:
    assert hashed_splits(ids, SIZES, "salt") == hashed_splits(IDS, SIZES, "salt")


groupings = st.dictionaries(st.sampled_from(IDS), st.sampled_from(["g1", "g2", "g3"]), max_size=12)


@given(groupings, st.text(max_size=5))
def test_every_id_is_dealt_once_and_groups_stay_together(groups: dict[str, str], salt: str) -> None:
    splits = hashed_splits(IDS, SIZES, salt, groups)
    assert {name: len(ids) for name, ids in splits.items()} == SIZES
    assert sorted(sum(splits.values(), ())) == IDS
    for group in set(groups.values()):
        members = {name for name, of in groups.items() if of == group}
        assert sum(bool(members & set(ids)) for ids in splits.values()) == 1


def test_another_salt_gives_another_division() -> None:
    assert hashed_splits(IDS, SIZES, "a")["test"] != hashed_splits(IDS, SIZES, "b")["test"]


def test_a_group_too_large_for_the_first_split_goes_to_one_with_room() -> None:
    splits = hashed_splits("abcd", {"test": 1, "train": 3}, "salt", dict.fromkeys("abc", "g"))
    assert splits == {"test": ("d",), "train": ("a", "b", "c")}


def test_sizes_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(DataError, match="do not add up to the 100 samples"):
        hashed_splits(IDS, {"test": 20, "train": 70}, "salt")


def test_a_group_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(DataError, match="fits into no split"):
        hashed_splits("abcd", {"test": 2, "train": 2}, "salt", dict.fromkeys("abc", "g"))
