"""The journal: appended, flushed, readable after a kill, refused with its line number when damaged."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.errors import JournalError
from mtlbench.results.journal import SCHEMA_VERSION, append_launch, read_journal, repair_journal

LAUNCH = {
    "schema_version": SCHEMA_VERSION,
    "run_id": "r",
    "machine_id": "m",
    "session": "s",
    "launch_id": "a",
    "block": 0,
    "kind": "time",
    "cell_id": "c",
    "status": "ok",
    "reuse_key": "k",
    "started_unix_s": 0.0,
    "latency_ms": 1.5,
    "floors_ms": [1.5],
}


def test_what_is_appended_is_read(tmp_path):
    path = tmp_path / "launches.jsonl"
    assert read_journal(path) == []
    for i in range(3):
        append_launch(path, LAUNCH | {"block": i})
    assert [launch["block"] for launch in read_journal(path)] == [0, 1, 2]


@given(cut=st.integers(min_value=1, max_value=400))
def test_an_incomplete_last_line_is_ignored_and_then_removed(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "launches.jsonl"
    append_launch(path, LAUNCH)
    append_launch(path, LAUNCH | {"launch_id": "b"})
    content = path.read_bytes()
    second = len(content) - content.index(b"\n") - 1
    path.write_bytes(content[: len(content) - min(cut, second)])
    assert [launch["launch_id"] for launch in read_journal(path)] == ["a"]
    repair_journal(path)
    append_launch(path, LAUNCH | {"launch_id": "c"})
    assert [launch["launch_id"] for launch in read_journal(path)] == ["a", "c"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("not json", "not JSON"),
        ("[1]", "not a launch"),
        (json.dumps(LAUNCH | {"schema_version": SCHEMA_VERSION + 1}), "schema version"),
        (json.dumps(LAUNCH | {"schema_version": "1"}), "schema version"),
        (json.dumps({k: v for k, v in LAUNCH.items() if k != "cell_id"}), "cell_id"),
        (json.dumps({k: v for k, v in LAUNCH.items() if k != "floors_ms"}), "floors_ms"),
        (json.dumps(LAUNCH | {"latency_ms": "lots"}), "latency_ms is not a number"),
        (json.dumps(LAUNCH | {"floors_ms": [1.0, True]}), "floors_ms is not a number"),
        ('{"a": \xff', "not JSON"),
    ],
)
def test_a_damaged_line_is_refused_with_its_number(tmp_path, line, words):
    path = tmp_path / "launches.jsonl"
    append_launch(path, LAUNCH)
    with path.open("ab") as journal:
        journal.write(line.encode("latin-1") + b"\n")
    append_launch(path, LAUNCH)
    with pytest.raises(JournalError, match=words) as caught:
        read_journal(path)
    assert str(caught.value).startswith(f"{path}:2:")


def test_numbers_that_are_not_finite_become_null(tmp_path):
    path = tmp_path / "launches.jsonl"
    append_launch(path, LAUNCH | {"x": math.nan, "y": [math.inf, 1.0], "z": {"deep": -math.inf}})
    (launch,) = read_journal(path)
    assert launch["x"] is None
    assert launch["y"] == [None, 1.0]
    assert launch["z"] == {"deep": None}


def test_a_line_edited_by_hand_is_read(tmp_path):
    path = tmp_path / "launches.jsonl"
    path.write_text(json.dumps(LAUNCH | {"note": "warm room"}, indent=None) + "\n\n")
    assert read_journal(path)[0]["note"] == "warm room"
