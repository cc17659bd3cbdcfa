"""What claims against reality come to, in sentences: the finding first, then the best, the worst and the traps."""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.report.frame import Estimate
from mtlbench.report.quantities import join, percent, with_interval
from mtlbench.report.sections._ways import Way

__all__ = ["change", "findings", "share_words"]

ALL_OF_IT = 0.995
CLAIMED_BEYOND = 0.02


def share_words(share: Estimate) -> str:
    """`2.1 % [0.1, 5.0]`."""
    value, bracket, limits = with_interval(share, 100).partition(" [")
    return f"{value} %{bracket}{limits}"


def change(share: Estimate) -> str:
    """`36 % less`, `2.0 % more`, `as much`."""
    if abs(share.value - 1) < 0.0005:
        return "as much"
    return f"{percent(abs(share.value - 1))} {'less' if share.value < 1 else 'more'}"


def findings(ways: Sequence[Way]) -> list[str]:
    """Sentences about ways that have a dense reference of their own."""
    said = [*_realised(ways), _bare(ways), _masked(ways), _claimed(ways), _energy(ways)]
    return [sentence for sentence in said if sentence]


def _realised(ways: Sequence[Way]) -> list[str]:
    known = sorted((way for way in ways if way.realised.known), key=lambda way: way.realised.value)
    if not known:
        return [_unrealised(ways)]
    if len(known) == 1:
        return [f"{_story(known[0])}."]
    worst, best = known[0], known[-1]
    low, high = (round(way.realised.value * 100) + 0 for way in (worst, best))
    span = f"{low} %" if low == high else f"between {low} % and {high} %"
    return [
        f"Of the saving promised in MACs, {span} arrived as time, over {len(known)} ways.",
        f"Most: {_story(best)}.",
        f"Least: {_story(worst)}.",
    ]


def _unrealised(ways: Sequence[Way]) -> str:
    reasons: dict[str, list[str]] = {}
    for way in ways:
        reasons.setdefault(way.reason.strip().rstrip("."), []).append(way.label)
    said = [f"{reason or 'no reason was recorded'} ({join(names, 3)})" for reason, names in reasons.items()]
    return f"Whether any promise arrived as time is not known: {join(said, 3)}."


def _story(way: Way) -> str:
    """What one way promised, executed, took, and how much of the promise that is."""
    executed, took = way.share("executed"), way.share("latency")
    said = [f"{way.label} promised {change(way.promised)} compute"]
    said += [f"executed {change(executed)}"] if executed.known else []
    said += [f"took {change(took)} time"] if took.known else []
    return f"{join(said)}: {_arrived(way.realised)}"


def _arrived(realised: Estimate) -> str:
    share = share_words(realised)
    if realised.low <= 0 <= realised.high:
        return f"{share} of the promise arrived, which is not told apart from nothing"
    if realised.value < 0:
        return f"it lost time instead, {share} of the promise"
    if realised.value > 1:
        return f"more than the promise arrived, {share} of it"
    return f"{share} of the promise arrived"


def _bare(ways: Sequence[Way]) -> str:
    known = [way.realised for way in ways if way.realised.known]
    if not known or any(realised.bounded for realised in known):
        return ""
    return "These shares have no intervals (6 launches or more give them), so small differences may be noise."


def _masked(ways: Sequence[Way]) -> str:
    """Ways that compute everything and then throw parts of it away."""
    names = [way.label for way in ways if way.promises and way.share("executed").value >= ALL_OF_IT]
    if not names:
        return ""
    verb = "executes" if len(names) == 1 else "execute"
    return f"{join(names)} {verb} everything: what is said to be skipped is computed all the same."


def _claimed(ways: Sequence[Way]) -> str:
    """The formula that promises most beyond what the trace says was needed."""
    beyond = [
        (way.promised.value - way.share("claimed").value, way) for way in ways if way.share("claimed").known
    ]
    gap, way = max(beyond, key=lambda pair: pair[0], default=(0.0, None))
    if way is None or gap < CLAIMED_BEYOND:
        return ""
    return (
        f"By its authors' formula {way.label} would save {percent(1 - way.share('claimed').value)} of what that "
        f"formula counts; "
        f"its decisions leave out {percent(1 - way.promised.value)}."
    )


def _energy(ways: Sequence[Way]) -> str:
    known = sorted(
        (way for way in ways if way.realised_energy.known), key=lambda way: way.realised_energy.value
    )
    if not known:
        return ""
    ends = [f"{share_words(way.realised_energy)} ({way.label})" for way in known[:: max(len(known) - 1, 1)]]
    return f"As energy, {' to '.join(ends)} of the promise arrived."
