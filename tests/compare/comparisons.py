"""Comparisons made by hand, for the tests of what shows them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from mtlbench.compare.verdict import Comparison, Finding, Side, Tier, Verdict
from mtlbench.stats.quantiles import Interval

BASE = Side(Path("results/main"), "quickstart", "20310504T102207-4f2a", ("0123456789",), ("77aa0c1d",))
HEAD = Side(Path("results/pr"), "quickstart", "20310504T112207-90bc", ("89abcdef01+",), ("77aa0c1d",))
CELL = "adamtl[budget=0.6]/scenes/vit-nano/semseg+depth+normals/cpu-1t-b1/s0"
STATIC = "static_mtl/scenes/vit-nano/semseg+depth+normals/cpu-1t-b1/s0"
SHARING = "computation_sharing[density=0.3,shared_blocks=3]/scenes/vit-nano/semseg+depth+normals/cpu-1t-b1/s0"

HOSTILE = (
    "a|b`c`<script>alert(1)</script>*x*_y_[z](http://e.org/q)~~s~~ \\| @someone #12 www.e.org",
    "</details><!-- x --> --> <img src=x onerror=y> &lt; &#64;root ```",
    "%0A::error title=x::y, a:b\r\n::warning::z%25",
    "\x1b[31mred\x1b[0m \x00\x08\ufffe\ud800 ]]> <![CDATA[ &amp; \x85 \u2028 \u202e",
    "",
    " ",
    "- 1. > # head\n\n| a | b |\n|---|---|\n\n<details>",
    "[bold]markup[/bold] :smile:",
    "@" * 3000,
    "漢字" * 60,
)

REGRESSION = Finding(
    CELL,
    "latency_ms",
    Tier.TIME,
    Verdict.REGRESSION,
    "It is slower by more than 5 % in the launches that raised the suspicion, and in twenty further blocks.",
    base=3.4213,
    head=3.8421,
    unit="ms",
    change_percent=12.31,
    interval_percent=Interval(10.12, 14.03, 0.98),
    threshold_percent=5.0,
    p=0.000122,
    p_holm=0.0002,
    n=20,
    is_confirmed=True,
)
COUNTED = Finding(
    CELL,
    "macs_executed",
    Tier.EXACT,
    Verdict.REGRESSION,
    "It is 2.3e-05 % more; counts must be equal.",
    base=58_712_064.0,
    head=58_712_078.0,
    unit="MACs",
    change_percent=2.3e-5,
    threshold_percent=0.0,
)
MISSING = Finding(STATIC, "cell", Tier.EXACT, Verdict.MISSING, "Head does not have it.")
NOT_COMPARABLE = Finding(
    SHARING,
    "metric.semseg.miou",
    Tier.QUALITY,
    Verdict.NOT_COMPARABLE,
    "Base and head saw different data.",
    base=0.6123,
    head=0.6011,
)
INCONCLUSIVE = Finding(
    STATIC,
    "latency_ms",
    Tier.TIME,
    Verdict.INCONCLUSIVE,
    "Between 4.1 % faster and 7.2 % slower: ten blocks say no more on this machine.",
    base=2.7411,
    head=2.7832,
    unit="ms",
    change_percent=1.54,
    interval_percent=Interval(-4.1, 7.2, 0.98),
    threshold_percent=5.0,
    p=0.31,
    p_holm=1.0,
    n=10,
)
IMPROVEMENT = Finding(
    SHARING,
    "memory_tensors_mib",
    Tier.EXACT,
    Verdict.IMPROVEMENT,
    "It is 5.1 % less; 1 % pass.",
    base=12.61,
    head=11.97,
    unit="MiB",
    change_percent=-5.08,
    threshold_percent=1.0,
)
PASS = Finding(
    STATIC,
    "params",
    Tier.EXACT,
    Verdict.PASS,
    "Equal.",
    5_123_456.0,
    5_123_456.0,
    "",
    0.0,
    threshold_percent=0.0,
)
ONE_EACH = (REGRESSION, MISSING, NOT_COMPARABLE, INCONCLUSIVE, IMPROVEMENT, PASS)


def compared(*findings: Finding, notes: tuple[str, ...] = ()) -> Comparison:
    """A comparison, its gravest findings first."""
    order = list(Verdict)
    return Comparison(BASE, HEAD, tuple(sorted(findings, key=lambda each: order.index(each.verdict))), notes)


def mixtures() -> list[tuple[Finding, ...]]:
    """Every set of one or two verdicts, all of them, and none."""
    pairs = itertools.combinations(ONE_EACH, 2)
    return [(), *((each,) for each in ONE_EACH), *pairs, ONE_EACH]


def many(count: int, *kinds: Finding) -> Comparison:
    """`count` findings of different cells, of each kind in turn."""
    every = [
        replace(
            kinds[place % len(kinds)], cell=f"adamtl[budget={place / count:.3f}]/scenes/vit-nano/s{place}"
        )
        for place in range(count)
    ]
    return compared(*every)


def hostile() -> Comparison:
    """Every nasty string as a cell, a metric, a sentence and a note."""
    findings = [
        replace(kind, cell=words, metric=words, sentence=words, unit=words[:12])
        for kind in ONE_EACH
        for words in HOSTILE
    ]
    nasty = replace(HEAD, suite=HOSTILE[0], run_id=HOSTILE[1], commits=HOSTILE[:2], machines=HOSTILE[2:4])
    return replace(compared(*findings, notes=HOSTILE), head=nasty)


NUMBERS = st.none() | st.floats(allow_nan=False)
WORDS = st.text(st.characters(exclude_categories=()), max_size=40)
FINDINGS = st.builds(
    Finding,
    cell=WORDS,
    metric=WORDS,
    tier=st.sampled_from(Tier),
    verdict=st.sampled_from(Verdict),
    sentence=WORDS,
    base=NUMBERS,
    head=NUMBERS,
    unit=st.sampled_from(["", "ms", "MACs", "%", "MiB"]),
    change_percent=NUMBERS,
    interval_percent=st.none()
    | st.builds(Interval, st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0.5, 0.999)),
    threshold_percent=NUMBERS,
    p=NUMBERS,
    p_holm=NUMBERS,
    n=st.none() | st.integers(0, 10**6),
    is_confirmed=st.booleans(),
)
COMPARISONS = st.builds(
    lambda findings, notes: compared(*findings, notes=tuple(notes)),
    st.lists(FINDINGS, max_size=6),
    st.lists(WORDS, max_size=2),
)
