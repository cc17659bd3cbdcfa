"""Tier Q: metrics and delta-m, paired over the same images and seeds.

With the same weights only images are drawn anew, and the smallest steady loss shows. Other weights bring the chances of
training with them: three seeds and more are drawn too; of fewer only a loss is told that another seed would hardly
explain, and so the threshold is wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mtlbench.compare.families import Family
from mtlbench.compare.match import rules_differ
from mtlbench.compare.verdict import Finding, Tier, Verdict
from mtlbench.stats.changes import Drawn, PairedDraws
from mtlbench.stats.delta_m import TaskScore
from mtlbench.suite.gate import Gate

__all__ = ["DELTA_M", "quality_findings", "verdict_of_gain"]

SAME_WEIGHTS_PERCENT = 0.02
OTHER_ARITHMETIC_PERCENT = 0.5
SEEDS_PERCENT = 1.0
FEW_SEEDS_PERCENT = 10.0
ENOUGH_SEEDS = 3
DELTA_M = "delta_m"


def quality_findings(family: Family, baselines: Family | None, gate: Gate) -> Iterator[Finding]:
    """The primary metric of each task, and delta-m where its baselines were measured.

    Args:
        family: a cell over its seeds.
        baselines: the single-task networks of the same seeds; None where a run lacks them, or it is them.
        gate: thresholds.
    """
    if not family.is_trained:
        return
    judge = _Judge(family, gate)
    problem = judge.problem()
    if problem is not None:
        yield replace(judge.blank("metrics"), verdict=problem[0], sentence=problem[1])
        return
    draws = family.draws()
    for task, score in family.scores.items():
        yield judge.metric(task, score, draws)
    if baselines is not None:
        yield judge.delta_m(baselines)


def verdict_of_gain(found: Finding, what: str) -> Finding:
    """The finding with its verdict: whether head is surely worse, surely better, or surely not worse.

    Args:
        found: with change, interval and threshold; above zero is better.
        what: what is judged, in a sentence, such as `semseg`.
    """
    interval, allowed = found.interval_percent, found.threshold_percent
    assert allowed is not None  # noqa: S101  # whoever asks has set it
    if interval is None:
        few = (
            "One image does not have" if found.n == 1 else f"Too few of the {found.n} images carry it to have"
        )
        sentence = f"{few} a spread, so nothing can be told."
        return replace(found, verdict=Verdict.INCONCLUSIVE, sentence=sentence)
    if interval.high < -allowed:
        return replace(
            found,
            verdict=Verdict.REGRESSION,
            sentence=f"{what} is worse by more than the {allowed:g} that pass.",
        )
    if interval.low > allowed:
        return replace(
            found, verdict=Verdict.IMPROVEMENT, sentence=f"{what} is better by more than {allowed:g}."
        )
    if interval.low >= -allowed:
        return replace(
            found, verdict=Verdict.PASS, sentence=f"{what} is surely not worse by more than {allowed:g}."
        )
    return replace(
        found,
        verdict=Verdict.INCONCLUSIVE,
        sentence=f"{what} may be worse by more than {allowed:g} or not: {found.n} images cannot tell.",
    )


@dataclass(frozen=True)
class _Judge:
    """Findings about one family."""

    family: Family
    gate: Gate

    def blank(self, metric: str, *others: Family) -> Finding:
        """A finding without a verdict yet, with its threshold; the widest of what it and `others` need."""
        default = max(_default_percent(family) for family in (self.family, *others))
        return Finding(
            self.family.name,
            metric,
            Tier.QUALITY,
            Verdict.INCONCLUSIVE,
            "",
            threshold_percent=self.gate.passes(self.family.label, self.family.cell_id, metric, default),
            n=self.family.n_images,
        )

    def problem(self) -> tuple[Verdict, str] | None:
        """Why no metric can be compared."""
        for pair in self.family.pairs:
            for name, side in (("Base", pair.base), ("Head", pair.head)):
                if side.evaluation is not None and not side.folder.has_samples(side.evaluation):
                    return Verdict.MISSING, f"{name} has lost the file with what it predicted of each image."
                lost = [task for task in self.family.scores if task not in side.statistics]
                if lost:
                    return Verdict.MISSING, f"{name} has not kept what it predicted of {', '.join(lost)}."
            if not pair.same_data:
                return Verdict.NOT_COMPARABLE, "Base and head were tested on different data."
        if self.family.statistics is None:
            counts = [len(side.image_ids) for side in (self.family.pairs[0].base, self.family.pairs[0].head)]
            return (
                Verdict.NOT_COMPARABLE,
                f"Base and head predicted different images ({counts[0]} and {counts[1]} of them).",
            )
        return None

    def metric(self, task: str, score: TaskScore, draws: PairedDraws) -> Finding:
        """The primary metric of one task."""
        metrics_fn, name, _ = score
        found = self.blank(f"metric.{task}.{name}")
        problem = rules_differ(self.family.pairs[0], f"task:{task}")
        if problem is not None:
            return replace(found, verdict=Verdict.NOT_COMPARABLE, sentence=problem)
        base, head = ([seed[task] for seed in side] for side in self.family.statistics or ((), ()))
        ours, theirs = (draws.over_seeds(draws.scores(side, metrics_fn, name)) for side in (head, base))
        found = replace(found, base=theirs.value, head=ours.value)
        return self._judged(found, draws.gain(base, head, score), f"{name} of {task}, in %,")

    def delta_m(self, baselines: Family) -> Finding:
        """Delta-m against the single-task networks of the same run, in points."""
        found = self.blank(DELTA_M, baselines)
        if not self.family.shares_images(baselines):
            return replace(
                found,
                verdict=Verdict.NOT_COMPARABLE,
                sentence="It and the single-task networks predicted different images.",
            )
        draws = self.family.draws(baselines)
        base, head = self.family.delta_m(baselines, draws)
        found = replace(
            found, base=draws.over_seeds(base).value, head=draws.over_seeds(head).value, unit="points"
        )
        return self._judged(found, draws.over_seeds(head - base), "delta-m, in points,")

    def _judged(self, found: Finding, gain: Drawn, what: str) -> Finding:
        if gain.value is None:
            return replace(found, **_undefined(found))  # type: ignore[arg-type]  # verdict and sentence
        found = replace(
            found,
            change_percent=gain.value,
            interval_percent=gain.interval if self.family.n_images > 1 else None,
            p=gain.p_worse(found.threshold_percent or 0.0),
        )
        judged = verdict_of_gain(found, what)
        few = not self.family.same_weights and len(self.family.pairs) < ENOUGH_SEEDS
        more = " Weights differ and seeds are few, so the threshold is wide." if few else ""
        return replace(judged, sentence=judged.sentence + more)


def _undefined(found: Finding) -> dict[str, object]:
    """What is said where a metric is not a number."""
    sides = [name for name, value in (("base", found.base), ("head", found.head)) if value is None]
    if len(sides) == 1:
        return {
            "verdict": Verdict.NOT_COMPARABLE,
            "sentence": f"It is undefined (not a number) in {sides[0]} alone.",
        }
    where = "in both runs" if sides else "relative to a base of 0"
    return {"verdict": Verdict.INCONCLUSIVE, "sentence": f"It is undefined {where}."}


def _default_percent(family: Family) -> float:
    if family.same_weights:
        # Another processor rounds otherwise, which turns single pixels; of a rare class each of them counts.
        return SAME_WEIGHTS_PERCENT if family.same_arithmetic else OTHER_ARITHMETIC_PERCENT
    return SEEDS_PERCENT if len(family.pairs) >= ENOUGH_SEEDS else FEW_SEEDS_PERCENT
