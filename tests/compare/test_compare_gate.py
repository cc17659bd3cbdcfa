"""The gate with two made-up runs: whose turn it is, who gets more launches, and what goes wrong on the way."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import runs

from mtlbench.cli.app import main
from mtlbench.compare.gating import GatePlan, run_gate
from mtlbench.compare.turns import Request, RunningSide, take_turns
from mtlbench.compare.verdict import Verdict
from mtlbench.errors import MachineUnfitError, MtlbenchError, UsageError
from mtlbench.suite.gate import Gate

FAKE = Path(__file__).with_name("fake_side.py")
GATE = Gate(blocks=7, confirm_blocks=10)
OVERRIDES = ("gate.blocks=7", "gate.confirm_blocks=10")
CELLS = 5


def side(*options):
    return shlex.join([sys.executable, str(FAKE), *map(str, options)])


def plan(tmp_path, base=(), head=("--seed", 2), gate=GATE):
    return GatePlan(Path("any.yaml"), gate, side(*base), side(*head), tmp_path / "gate", OVERRIDES)


def timed(folder):
    """How many timed launches each cell of a run has."""
    launches = [json.loads(line) for line in (folder / "launches.jsonl").read_text().splitlines()]
    labels = {cell_id: label for label, cell_id in runs.cells(folder).items()}
    return Counter(labels[launch["cell_id"]].split("/")[0] for launch in launches if launch["kind"] == "time")


def test_equal_sides_pass_after_the_first_blocks(tmp_path):
    comparison = run_gate(plan(tmp_path))
    assert comparison.exit_code == 0
    for name in ("base", "head"):
        assert set(timed(tmp_path / "gate" / name).values()) == {7}


def test_only_what_is_suspected_gets_more_launches_and_is_confirmed(tmp_path):
    said = []
    comparison = run_gate(plan(tmp_path, head=("--seed", 2, "--factor", 1.3)), said.append)
    assert comparison.exit_code == 1
    assert runs.found(comparison, runs.STATIC, "latency_ms").is_confirmed
    for name in ("base", "head"):
        counts = timed(tmp_path / "gate" / name)
        assert counts.pop("static_mtl") == 17
        assert set(counts.values()) == {7}
    assert [words for words in said if words.startswith("confirming static_mtl/")]


def test_what_further_launches_do_not_show_passes(tmp_path):
    head = ("--seed", 2, "--factor", 1.3, "--only-first", 7)
    comparison = run_gate(plan(tmp_path, head=head))
    finding = runs.found(comparison, runs.STATIC, "latency_ms")
    assert finding.verdict is Verdict.PASS
    assert "not confirmed" in finding.sentence


def test_without_the_tier_of_time_nothing_is_timed(tmp_path):
    comparison = run_gate(plan(tmp_path, gate=GATE.model_copy(update={"tiers": ["exact"]})))
    assert timed(tmp_path / "gate" / "head") == {}
    assert "latency_ms" not in {finding.metric for finding in comparison.findings}


def test_a_repeat_and_a_cell_that_one_side_lacks_do_not_stop_the_turns(tmp_path):
    comparison = run_gate(
        plan(tmp_path, base=("--repeat",), head=("--seed", 2, "--lacks", "adamtl[budget=0.6]"))
    )
    assert timed(tmp_path / "gate" / "base")["static_mtl"] == 8
    assert runs.found(comparison, runs.STATIC, "latency_ms").n == 7
    assert {f.verdict for f in comparison.findings if f.cell.startswith(runs.ADAPTIVE)} == {Verdict.MISSING}


def test_launches_of_a_pair_lie_side_by_side_in_changing_order(tmp_path):
    order = []
    run_gate(plan(tmp_path), on_launch=lambda name, request: order.append((name, request)))
    assert len(order) == 2 * 7 * CELLS
    first = []
    for one, other in zip(order[::2], order[1::2], strict=True):
        assert one[1] == other[1]
        first.append(one[0])
    assert 10 < first.count("base") < 25


@pytest.mark.parametrize(
    ("code", "error"), [(2, UsageError), (5, MachineUnfitError), (70, MtlbenchError), (1, MtlbenchError)]
)
def test_a_side_that_fails_says_why(tmp_path, code, error):
    with pytest.raises(
        error, match=f"head ended with exit code {code}: something: is wrong. Mend it"
    ) as raised:
        run_gate(plan(tmp_path, head=("--code", code)))
    assert raised.value.exit_code == (code if code in (2, 5) else 70)


def test_a_side_that_does_not_take_turns_is_refused(tmp_path):
    with pytest.raises(UsageError, match="base timed its launches without taking turns"):
        run_gate(plan(tmp_path, base=("--deaf",)))


def test_a_side_that_crashes_in_the_middle_ends_the_other(tmp_path):
    order = []
    crashing = plan(tmp_path, head=("--seed", 2, "--crash-at", 3))
    with pytest.raises(MtlbenchError, match="head ended with exit code 70: it broke"):
        run_gate(crashing, on_launch=lambda name, request: order.append(request.block))
    assert max(order) <= 3


def test_requests_in_other_words_are_refused(tmp_path):
    with pytest.raises(UsageError, match="words of another version"):
        run_gate(plan(tmp_path, head=("--babble",)))


def test_a_gate_measures_anew(tmp_path):
    run_gate(plan(tmp_path, head=("--seed", 2, "--factor", 1.3)))
    order = []
    comparison = run_gate(plan(tmp_path), on_launch=lambda *asked: order.append(asked))
    assert len(order) == 2 * 7 * CELLS
    assert comparison.exit_code == 0


def test_what_a_side_is_told(tmp_path):
    usual = plan(tmp_path)
    assert "measure.requeue=0" in usual.arguments("head")
    assert "--fresh" not in usual.arguments("head")
    assert "MTLBENCH_CACHE" not in usual.environment("head")
    retrained = replace(usual, retrain=True)
    assert "--fresh" in retrained.arguments("head")
    caches = {retrained.environment(name)["MTLBENCH_CACHE"] for name in ("base", "head")}
    assert len(caches) == 2
    assert "--fresh" not in replace(retrained, resume=True).arguments("head")


def test_a_command_that_is_none_is_refused(tmp_path):
    wrong = GatePlan(Path("any.yaml"), GATE, "/nowhere/mtlbench", side(), tmp_path / "gate", OVERRIDES)
    with pytest.raises(UsageError, match="cannot be started"):
        run_gate(wrong)


def test_the_gate_decides_how_often_it_launches(capsys):
    assert main(["gate", "ci", "--set", "measure.launches=3"]) == 2
    assert "gate.blocks" in capsys.readouterr().err


class Scripted(RunningSide):
    """A side that asks for what it is given, in order."""

    def __init__(self, name, script):
        super().__init__(name, "", Path())
        self.script = iter(script)
        self.answers = []
        self.read()

    def read(self):
        self.waiting = next(self.script, None)
        self.ended = self.waiting is None

    def finish(self):
        pass

    def reply(self, word):
        self.answers.append((self.waiting, word))
        self.served.add(self.waiting)
        self.waiting = None


def test_earlier_blocks_of_the_other_side_go_first():
    a, b = (Request(name, "g", 0) for name in "ab")
    later = Request("a", "g", 1)
    order = []
    base, head = Scripted("base", [a, later]), Scripted("head", [b, a, later])
    take_turns(
        base,
        head,
        groups=["g"],
        wanted=lambda _: True,
        on_launch=lambda name, request: order.append((name, request)),
    )
    assert {request for _, request in order[:3]} == {a, b}
    assert {request for _, request in order[3:]} == {later}


def test_a_group_that_one_side_lacks_does_not_tear_pairs_apart():
    def asked(group):
        return [Request(f"{group}{cell}", group, block) for block in range(3) for cell in range(2)]

    order = []
    base, head = Scripted("base", asked("b")), Scripted("head", asked("a") + asked("b"))
    take_turns(
        base,
        head,
        groups=["a", "b"],
        wanted=lambda _: True,
        on_launch=lambda name, request: order.append(request),
    )
    assert [request.group for request in order[:6]] == ["a"] * 6
    assert order[6::2] == order[7::2] == asked("b")
