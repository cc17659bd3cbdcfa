"""Which launches of a journal count."""

from __future__ import annotations

import pytest

from mtlbench.results.cell_row import cell_row
from mtlbench.results.evidence import gather, mixed_code
from mtlbench.results.folder import RunFolder


def _launch(kind, block=0, key="K", status="ok", **more):
    return {
        "cell_id": "c",
        "machine_id": "m",
        "launch_id": f"{kind}{block}",
        "kind": kind,
        "block": block,
        "status": status,
        "reuse_key": f"{key}-{kind}",
        "weights_hash": key,
        "data_hash": "d",
        "code_version.training": 1,
        **more,
    }


def _gather(tmp_path, launches, current=None, blocks=6):
    entry = {"unsupported": None, "spec": {"problem": {"tasks": []}}}
    run = {"cells": {"c": entry}, "measure": {"launches": blocks}}
    if current is not None:
        keys = {"c": {"evaluate": f"{current}-evaluate", "time": f"{current}-time"}} if current else {}
        run["current"] = {"m": keys}
    (evidence,) = gather(RunFolder(tmp_path), run, launches).values()
    return evidence


def _row(evidence):
    entry = evidence.entry
    entry.update(decision="static", waivers=[], cell_id="c", label="c", role="requested", budget=None)
    entry.update(dataset="d", encoder="e", hardware="h", reference_id="c", baseline_ids={})
    entry["spec"] |= {"variant": {"name": "v"}, "point": {}, "seed": 0, "hardware": {"batch": 1}}
    return cell_row(
        evidence, {"run_id": "r", "suite": "s", "measure": {"resamples": 100, "launches": 6}}, "m"
    )


A = [_launch("evaluate", key="A"), *(_launch("time", block, "A") for block in range(3))]
B = [_launch("evaluate", key="B"), _launch("time", 0, "B")]


def test_what_run_json_says_is_current_counts(tmp_path):
    for current in "AB":
        evidence = _gather(tmp_path, A + B, current)
        assert evidence.evaluation["weights_hash"] == current
        assert {launch["weights_hash"] for launch in evidence.timings.values()} == {current}
    assert len(_gather(tmp_path, A + B, "A").timings) == 3


def test_on_a_machine_that_run_json_does_not_know_the_last_count(tmp_path):
    assert _gather(tmp_path, A + B).evaluation["weights_hash"] == "B"


def test_timings_of_other_weights_than_the_evaluation_never_count(tmp_path):
    assert _gather(tmp_path, [*A, _launch("evaluate", key="B")]).timings == {}


def test_a_cell_whose_weights_failed_has_only_its_failure(tmp_path):
    failed = _launch("evaluate", key="failed", status="failed", reason="no weights")
    evidence = _gather(tmp_path, [*A, failed], current="")
    assert evidence.evaluation is None
    assert evidence.failures == [failed]


@pytest.mark.parametrize(
    ("later", "left"),
    [([], 1), ([_launch("time", 2, "A")], 0), ([_launch("time", 1, "A")], 1)],
)
def test_a_failure_is_made_good_by_a_success_of_its_place(tmp_path, later, left):
    failure = _launch("time", 2, "A", status="failed")
    assert len(_gather(tmp_path, [*A, failure, *later], "A").failures) == left


def test_a_repeat_that_fails_leaves_the_disturbed_launch(tmp_path):
    disturbed = _launch("time", 3, "A", warnings=["foreign_load"], latency_ms=2.0)
    evidence = _gather(tmp_path, [*A, disturbed, _launch("time", 3, "A", status="failed")], "A")
    assert evidence.failures == []
    assert evidence.timings[3]["latency_ms"] == 2.0


def test_the_first_quiet_profile_counts_else_the_last(tmp_path):
    noisy, quiet, later = (
        _launch("profile", 0, "A", warnings=codes, launch_id=name)
        for name, codes in (("noisy", ["foreign_load"]), ("quiet", []), ("later", []))
    )
    again = noisy | {"launch_id": "again"}
    for launches, counts in (([noisy, quiet, later], "quiet"), ([noisy, again], "again")):
        assert _gather(tmp_path, [*A, *launches]).profile["launch_id"] == counts


def test_failures_of_other_settings_and_of_blocks_no_longer_asked_for_expire(tmp_path):
    other = _launch("time", 1, "B", status="failed")
    beyond = _launch("time", 5, "A", status="failed")
    assert _gather(tmp_path, [*A, other], "A").failures == []
    assert _gather(tmp_path, [*A, beyond], "A", blocks=3).failures == []
    assert _gather(tmp_path, [*A, beyond], "A", blocks=6).failures == [beyond]


def test_machines_are_rows_of_their_own(tmp_path):
    other = [launch | {"machine_id": "n"} for launch in B]
    run = {"cells": {"c": {"spec": {}}, "d": {"spec": {}}}, "measure": {"launches": 3}}
    found = gather(RunFolder(tmp_path), run, A + other)
    assert list(found) == [("c", "m"), ("c", "n"), ("d", "")]


def test_lost_samples_and_changed_software_are_said(tmp_path):
    launches = [
        _launch("evaluate", macs_refused=False, macs_executed=1, macs_full=1, uncounted_ops=[], n_images=1),
        *(
            _launch(
                "time",
                block,
                latency_ms=1.0,
                floors_ms=[1.0],
                load_ms=1.0,
                first_call_ms=1.0,
                memory_peak_mib=1.0,
            )
            | {"environment.torch": f"2.{block}"}
            for block in range(2)
        ),
    ]
    row = _row(_gather(tmp_path, launches))
    assert {"samples_missing", "mixed_environment", "few_launches"} <= row["warnings"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [(["trained"], "trained"), (["trained", "shipped", "trained"], "shipped+trained"), ([], "")],
)
def test_where_weights_come_from_and_what_a_formula_claims_of_all_reach_the_row(tmp_path, told, shown):
    macs = {"macs_refused": False, "macs_executed": 1, "macs_full": 1, "macs_claimed_full": 7.0}
    launch = _launch("evaluate", uncounted_ops=[], n_images=1, weights_from=told, **macs)
    row = _row(_gather(tmp_path, [launch]))
    assert row["weights_from"] == shown
    assert row["macs_claimed_reference"] == 7.0


@pytest.mark.parametrize(
    ("codes", "mixed"),
    [
        ([{"environment.mtlbench": "0.1"}, {"environment.mtlbench": "0.2"}], True),
        ([{"environment.git_commit": "a"}, {"environment.git_commit": "b"}], True),
        (
            [{"extensions": {"encoder:x": "p 1, source a"}}, {"extensions": {"encoder:x": "p 1, source b"}}],
            True,
        ),
        (
            [{"extensions": {"encoder:x": "p 1, source a"}}, {"extensions": {"encoder:y": "p 2, source b"}}],
            False,
        ),
        ([{"environment.git_commit": "a"}, {"environment.git_commit": None}], False),
        ([{"environment.torch": "1"}, {"environment.torch": "2"}], False),
    ],
)
def test_code_that_changed_within_a_run_is_noticed(tmp_path, codes, mixed):
    first, second = (
        _gather(tmp_path, [_launch("evaluate", **{"environment.mtlbench": "0.1"} | code)]) for code in codes
    )
    assert mixed_code([first, second]) is mixed
    within = _gather(tmp_path, [_launch("evaluate", **codes[0]), _launch("time", **codes[1])])
    assert mixed_code([within]) is mixed
