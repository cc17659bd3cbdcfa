"""When other tools call a benchmark slower, each with its defaults, for many comparisons at once.

Every rule takes the calls of both sides, [comparisons, launches, calls] in ms, and says which comparisons fail. Calls
are grouped as the tool would group calls of about 3 ms. The rules are written from the tools' sources:

- pytest-benchmark 5, `--benchmark-compare-fail=mean:5%`: `utils.py`, PercentageRegressionCheck; one run of each side.
- github-action-benchmark 1, `alert-threshold: 200%`: `write.ts`, findAlerts; one run of each side.
- criterion 0.5: `analysis/compare.rs`, `report.rs`: p < 0.05 in a t-test that is bootstrapped from the pooled sample,
  and all of the mean's 95 % interval above 1 %. One process each; also as if ten were pooled. 1,000 resamples instead
  of 100,000, the same for every comparison of a call.
- asv 0.6, `continuous`: `_stats.py` is_different, `commands/compare.py`: Mann-Whitney p < 0.002 and a ratio of medians
  above 1.1; ten samples in each of two processes, a sample the mean of as many calls as fill 10 ms; also ten processes.
- pyperf 2, `compare_to`: `_utils.py` is_significant: t-test over all values of all processes at 95 %, here those that
  call head slower; three values a process, each the mean of many calls, after one that is thrown away. It starts 20
  processes; here ten, as mtlbench does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["RULES", "Rule", "asv", "criterion", "github_action", "pyperf", "pytest_benchmark"]

RESAMPLES = 1000
_AT_ONCE = 500
_ASV_CALLS, _ASV_SAMPLES, _ASV_EXACT = 4, 10, 20
_PYPERF_CALLS, _PYPERF_VALUES = 16, 3

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def pytest_benchmark(base: Floats, head: Floats) -> Bools:
    """The mean of all calls is more than 5 % above."""
    found: Bools = _mean(head) / _mean(base) * 100 - 100 > 5
    return found


def github_action(base: Floats, head: Floats) -> Bools:
    """The mean of all calls is more than twice as large."""
    found: Bools = _mean(head) / _mean(base) > 2
    return found


def criterion(base: Floats, head: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Bools:
    """The t-test finds the means different, and the interval of the mean's change lies above 1 %.

    The first call of a launch is left out: it would fall into the warm-up.
    """
    before, after = (side[:, :, 1:].reshape(len(side), -1) for side in (base, head))
    rng = np.random.default_rng(seed)
    pieces = range(0, len(before), _AT_ONCE)
    found = [_criterion(before[i : i + _AT_ONCE], after[i : i + _AT_ONCE], resamples, rng) for i in pieces]
    return np.concatenate(found)


def asv(base: Floats, head: Floats) -> Bools:
    """The medians differ by more than a factor of 1.1, and the samples by Mann-Whitney at 0.002."""
    before, after = (_grouped(side, _ASV_SAMPLES, _ASV_CALLS) for side in (base, head))
    exact = before.shape[1] <= _ASV_EXACT
    test = stats.mannwhitneyu(
        before, after, axis=1, method="exact" if exact else "asymptotic", use_continuity=False
    )
    ratio = np.asarray(np.median(after, axis=1) / np.median(before, axis=1))
    return np.asarray(np.logical_and(ratio > 1.1, np.asarray(test.pvalue) < 0.002))


def pyperf(base: Floats, head: Floats) -> Bools:
    """Student's t-test finds the values different, and head's are larger."""
    before, after = (_grouped(side, _PYPERF_VALUES, _PYPERF_CALLS) for side in (base, head))
    test = stats.ttest_ind(after, before, axis=1)
    return np.asarray((test.pvalue <= 0.05) & (test.statistic > 0))


@dataclass(frozen=True, slots=True)
class Rule:
    """A tool's rule at so many launches of each side."""

    name: str
    launches: int
    fails: Callable[[Floats, Floats], Bools]


RULES = (
    Rule("pytest-benchmark mean:5%", 1, pytest_benchmark),
    Rule("github-action-benchmark 200%", 1, github_action),
    Rule("criterion", 1, criterion),
    Rule("criterion", 10, criterion),
    Rule("asv", 2, asv),
    Rule("asv", 10, asv),
    Rule("pyperf", 10, pyperf),
)


def _mean(side: Floats) -> Floats:
    mean: Floats = side.mean(axis=(1, 2))
    return mean


def _grouped(side: Floats, values: int, calls: int) -> Floats:
    """Means of `calls` calls, `values` of them per launch, all launches together; the first calls are warm-up."""
    kept = side[:, :, -values * calls :]
    means: Floats = kept.reshape(len(side), -1, calls).mean(axis=2)
    return means


def _criterion(before: Floats, after: Floats, resamples: int, rng: np.random.Generator) -> Bools:
    n = before.shape[1]
    own = [rng.multinomial(n, np.full(n, 1 / n), size=resamples).T / n for _ in range(2)]
    change = (after @ own[1]) / (before @ own[0]) - 1
    interval_low = np.quantile(change, 0.025, axis=1)

    pooled = np.concatenate([before, after], axis=1)
    mixed = [rng.multinomial(n, np.full(2 * n, 0.5 / n), size=resamples).T / n for _ in range(2)]
    first, second = (pooled @ weights for weights in mixed)
    variances = [
        (pooled**2 @ weights - mean**2) / (n - 1)
        for weights, mean in zip(mixed, (first, second), strict=True)
    ]
    spread = np.add(*variances)
    drawn = (second - first) / np.sqrt(spread)
    seen = np.asarray(stats.ttest_ind(after, before, axis=1, equal_var=False).statistic)
    below = (drawn < seen[:, None]).mean(axis=1)
    different = 2 * np.minimum(below, 1 - below) < 0.05
    found: Bools = different & (interval_low > 0.01)
    return found
