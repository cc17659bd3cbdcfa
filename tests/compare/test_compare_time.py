"""Tier 2 on made-up launches: what is planted is flagged and confirmed, and every lack of evidence has its verdict."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import runs

from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.match import match
from mtlbench.compare.settings import gate_of
from mtlbench.compare.sides import open_side
from mtlbench.compare.timing import flagged
from mtlbench.compare.verdict import Verdict
from mtlbench.errors import MachineUnfitError, UsageError

LATENCY = "latency_ms"


@pytest.fixture
def timed(tmp_path):
    """Makes two runs whose launches take turns; options go to both, `factor` and `label` to head."""

    def make(factor=1.0, label=runs.STATIC, start=1.0e9 + 5, **options):
        base, head = runs.copy(tmp_path, "base"), runs.copy(tmp_path, "head")
        runs.add_times(base, seed=1, **options)
        runs.add_times(head, seed=2, factor=factor, label=label, start=start, **options)
        return base, head

    return make


def compare(sides, **options):
    return compare_runs(*sides, tiers="time", **options)


def test_equal_code_passes(timed):
    comparison = compare(timed())
    assert comparison.counts.keys() == {Verdict.PASS}
    finding = runs.found(comparison, runs.STATIC, LATENCY)
    assert finding.n == 10
    assert finding.interval_percent.low < finding.change_percent < finding.interval_percent.high
    assert finding.p_holm >= finding.p


def test_a_slowdown_is_only_suspected_by_the_first_blocks(timed):
    comparison = compare(timed(1.25))
    finding = runs.found(comparison, runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.p == 1 / 1024
    assert "gate" in finding.sentence
    assert comparison.exit_code == 3


def test_further_blocks_confirm_it_and_nothing_else(timed):
    comparison = compare(timed(1.25, blocks=30))
    finding = runs.found(comparison, runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.REGRESSION
    assert finding.is_confirmed
    assert finding.n == 20
    assert finding.change_percent == pytest.approx(25, abs=2)
    assert comparison.exit_code == 1
    assert sum(f.verdict is not Verdict.PASS for f in comparison.findings) == 1


def test_a_slowdown_of_the_first_blocks_alone_is_not_confirmed(timed):
    def only_first(times, block):
        return times * (1.25 if block < 10 else 1.0)

    base, head = timed(blocks=0)
    runs.add_times(base, blocks=30, seed=1)
    runs.add_times(head, blocks=30, seed=2, noise=only_first, start=1.0e9 + 5)
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.PASS
    assert "not confirmed" in finding.sentence


def test_a_cell_is_flagged_by_its_first_blocks_alone(timed):
    sides = timed(1.25, blocks=30)
    opened = [open_side(name, path) for name, path in zip(("base", "head"), sides, strict=True)]
    gate = gate_of(opened[1].run, (), None)
    assert [pair.label.split("/")[0] for pair in match(*opened)[0] if flagged(pair, gate)] == ["static_mtl"]


def test_faster_is_an_improvement(timed):
    assert runs.found(compare(timed(0.8)), runs.STATIC, LATENCY).verdict is Verdict.IMPROVEMENT


@pytest.mark.parametrize(("blocks", "verdict"), [(6, Verdict.INCONCLUSIVE), (7, Verdict.PASS)])
def test_fewer_than_seven_blocks_tell_nothing(timed, blocks, verdict):
    finding = runs.found(compare(timed(blocks=blocks)), runs.STATIC, LATENCY)
    assert finding.verdict is verdict
    assert (finding.interval_percent is None) == (verdict is Verdict.INCONCLUSIVE)


def test_noise_beyond_the_threshold_is_inconclusive(timed):
    def wild(times, block):
        return times * (1 + 0.6 * ((7 * block) % 5))

    comparison = compare(timed(noise=wild, spread=0.3))
    assert runs.found(comparison, runs.STATIC, LATENCY).verdict is Verdict.INCONCLUSIVE


def test_unequal_numbers_of_blocks_are_paired_by_block(timed):
    base, head = timed(blocks=10)
    runs.edit_launches(head, lambda launch: launch["block"] not in (0, 4), kind="time")
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.PASS
    assert finding.n == 8


def test_constant_samples_have_a_verdict(timed):
    equal = compare(timed(spread=0.0))
    assert {f.verdict for f in equal.findings} == {Verdict.PASS}


def test_constant_samples_that_differ_are_suspected(timed):
    finding = runs.found(compare(timed(1.5, spread=0.0)), runs.STATIC, LATENCY)
    assert finding.p == 1 / 1024
    assert finding.change_percent == pytest.approx(50)


@pytest.mark.parametrize("value", [None, 0.0, -1.0])
def test_times_that_cannot_be_are_left_out(timed, value):
    base, head = timed(blocks=9)
    runs.edit_launches(
        head,
        lambda launch: launch.update(floors_ms=[value] * runs.INPUTS) if launch["block"] > 5 else None,
        kind="time",
    )
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "6 blocks" in finding.sentence
    assert "3 more" in finding.sentence


def test_runs_that_did_not_take_turns_are_not_comparable(timed):
    comparison = compare(timed(start=2.0e9))
    finding = runs.found(comparison, runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert "take turns" in finding.sentence
    assert comparison.exit_code == 4


def test_a_clock_set_back_is_said_and_its_blocks_are_left_out(timed):
    base, head = timed()
    runs.edit_launches(
        head,
        lambda launch: launch.update(started_unix_s=launch["started_unix_s"] - 7200 * (launch["block"] > 7)),
        kind="time",
    )
    comparison = compare((base, head))
    assert any("set back" in note for note in comparison.notes)
    assert runs.found(comparison, runs.STATIC, LATENCY).n == 8


def test_other_machines_are_not_comparable_and_say_what_differs(timed):
    base, head = timed()
    runs.edit_launches(head, runs.set_keys(machine_id="other", environment__cores_logical=64))
    runs.edit_run(head, lambda run: run.update(current={}))
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert "cores_logical 2 -> 64" in finding.sentence


def test_a_merged_journal_is_compared_on_the_machine_that_both_have(timed):
    base, head = timed()
    mine = (head / "launches.jsonl").read_text()
    runs.edit_launches(head, runs.set_keys(machine_id="other"))
    (head / "launches.jsonl").write_text((head / "launches.jsonl").read_text() + mine)
    assert compare((base, head)).counts.keys() == {Verdict.PASS}


def keep_calls(run, label, rounds):
    """Keep the calls of every launch: in each round an input takes its floor, a little more in earlier ones."""

    def keep(launch):
        floors = np.array(launch["floors_ms"])
        n = rounds(launch["block"])
        times = [floors * (1 + 0.1 * (n - 1 - at)) for at in range(n)]
        table = {
            "round": np.repeat(np.arange(n), len(floors)),
            "input": np.tile(np.arange(len(floors)), n),
            "latency_ns": (np.concatenate(times) * 1e6).astype(np.int64),
        }
        pq.write_table(pa.table(table), run / "samples" / f"{launch['launch_id']}.latency.parquet")
        launch["n_rounds"] = n

    runs.edit_launches(run, keep, label, "time")


def test_launches_that_a_time_limit_ended_early_are_judged_by_as_many_rounds(timed):
    base, head = timed()
    keep_calls(base, runs.STATIC, lambda _: 3)
    keep_calls(head, runs.STATIC, lambda block: 2 if block == 4 else 3)
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.PASS
    assert finding.n == 10
    # of three rounds the first two are a tenth slower than the last, which alone is left out
    assert finding.base == pytest.approx(3.3, rel=0.02)


def test_without_its_calls_a_launch_of_more_rounds_cannot_be_judged(timed):
    base, head = timed()
    runs.edit_launches(
        head, lambda launch: launch.update(n_rounds=4) if launch["block"] == 3 else None, kind="time"
    )
    finding = runs.found(compare((base, head)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.n == 0


def test_runs_one_after_the_other_are_not_side_by_side(timed):
    finding = runs.found(compare(timed(start=1.0e9 + 45)), runs.STATIC, LATENCY)
    assert finding.verdict is Verdict.NOT_COMPARABLE


def test_a_side_without_times_is_missing(timed):
    base, head = timed()
    runs.edit_launches(head, lambda _: False, kind="time")
    comparison = compare((base, head))
    assert {f.verdict for f in comparison.findings} == {Verdict.MISSING}


@pytest.mark.parametrize(("key", "metric"), [("energy_mj", "energy_mj"), ("memory_launch_mib",) * 2])
def test_energy_and_memory_are_judged_where_both_have_them(timed, key, metric):
    sides = timed()
    rng = np.random.default_rng(0)
    for run, factor in zip(sides, (1.0, 1.4), strict=True):
        runs.edit_launches(
            run,
            lambda launch, factor=factor: launch.update({key: 50 * factor * rng.uniform(0.99, 1.01)}),
            kind="time",
        )
    finding = runs.found(compare(sides), runs.STATIC, metric)
    assert finding.change_percent == pytest.approx(40, abs=3)
    assert "Suspected" in finding.sentence
    runs.edit_launches(sides[1], runs.set_keys(**{key: None}), kind="time")
    assert runs.found(compare(sides), runs.STATIC, metric).verdict is Verdict.MISSING


def test_a_threshold_below_what_the_machine_can_tell_is_refused_with_the_number(timed):
    sides = timed(spread=0.2)
    with pytest.raises(UsageError, match=r"0.1 % for latency_ms is below what this machine can tell.*\d %"):
        compare(sides, overrides=["gate.thresholds.latency_ms=0.1"])


def test_a_threshold_that_the_machine_can_tell_is_used(timed):
    comparison = compare(timed(1.08), overrides=["gate.thresholds.latency_ms=4"])
    finding = runs.found(comparison, runs.STATIC, LATENCY)
    assert finding.threshold_percent == 4
    assert "Suspected" in finding.sentence


@pytest.mark.parametrize(("place", "percent"), [("shared", 10), ("quiet", 3), ("gpu", 3)])
def test_the_place_sets_the_threshold(timed, place, percent):
    comparison = compare(timed(), overrides=[f"gate.place={place}"])
    assert runs.found(comparison, runs.STATIC, LATENCY).threshold_percent == percent


def test_a_machine_that_must_be_quiet_and_was_not(timed):
    base, head = timed()
    runs.edit_launches(
        head, lambda launch: launch.update(warnings=["steal"] if launch["block"] % 2 else []), kind="time"
    )
    compare((base, head))
    with pytest.raises(MachineUnfitError, match="50%") as refused:
        compare((base, head), overrides=["gate.quiet_required=true"])
    assert refused.value.exit_code == 5
