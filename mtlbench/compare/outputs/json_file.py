"""A comparison as JSON, with all that is known of it, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mtlbench.compare.verdict import Comparison, Finding, Side, Tier, Verdict
from mtlbench.errors import UsageError, did_you_mean
from mtlbench.stats.quantiles import Interval

__all__ = ["SCHEMA_VERSION", "from_json", "to_json"]

# Raise when a key changes its meaning; readers refuse files that are newer than they are.
SCHEMA_VERSION = 1

_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}
_FIX = "Write it again with `mtlbench compare`"
_NUMBERS = ("base", "head", "change_percent", "threshold_percent", "p", "p_holm")
_LOW, _HIGH, _LEVEL = (f"change_percent.{end}" for end in ("ci_low", "ci_high", "ci_level"))

Choice = TypeVar("Choice", bound=StrEnum)


def to_json(comparison: Comparison) -> str:
    """Everything, in ASCII: keys of a finding are flat, and those of its interval `change_percent.ci_low` and so on.

    JSON has neither NaN nor infinity: the one is null, the other the text `Infinity` or `-Infinity`.
    """
    found = {
        "schema_version": SCHEMA_VERSION,
        "exit_code": comparison.exit_code,
        "counts": {verdict: comparison.counts.get(verdict, 0) for verdict in Verdict},
        "base": _side(comparison.base),
        "head": _side(comparison.head),
        "notes": list(comparison.notes),
        "findings": [_finding(finding) for finding in comparison.findings],
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> Comparison:
    """The comparison that `to_json` wrote; keys that it does not know are passed over.

    Raises:
        UsageError: it is not JSON, of another schema, lacks something or holds a wrong type, or counts and exit code
            are not those of its findings; `where` is the path of keys.
    """
    try:
        whole = _Node(json.loads(text, parse_constant=_refuse_constant), "comparison")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not JSON: {error}", where="comparison", fix=_FIX) from error
    _check_schema(whole.get("schema_version"))
    comparison = Comparison(
        base=_read_side(whole.get("base")),
        head=_read_side(whole.get("head")),
        findings=tuple(_read_finding(each) for each in whole.get("findings").items()),
        notes=whole.get("notes").texts(),
    )
    counts = {verdict: whole.get("counts").get(verdict).whole_number() for verdict in Verdict}
    if {verdict: count for verdict, count in counts.items() if count} != comparison.counts:
        whole.get("counts").wrong("are not those of the findings")
    if whole.get("exit_code").whole_number() != comparison.exit_code:
        whole.get("exit_code").wrong(f"is not what the findings come to, {comparison.exit_code}")
    return comparison


def _side(side: Side) -> dict[str, Any]:
    return {
        "folder": side.folder.as_posix(),
        "suite": side.suite,
        "run_id": side.run_id,
        "commits": list(side.commits),
        "machines": list(side.machines),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    interval = finding.interval_percent
    return {
        "cell": finding.cell,
        "metric": finding.metric,
        "tier": finding.tier,
        "verdict": finding.verdict,
        "sentence": finding.sentence,
        "unit": finding.unit,
        **{key: _number(getattr(finding, key)) for key in _NUMBERS},
        _LOW: _number(interval.low) if interval else None,
        _HIGH: _number(interval.high) if interval else None,
        _LEVEL: _number(interval.level) if interval else None,
        "n": None if finding.n is None else int(finding.n),
        "is_confirmed": bool(finding.is_confirmed),
    }


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}Infinity"


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the file, and the path of keys that leads to it."""

    value: Any
    path: str

    def get(self, key: str) -> _Node:
        if not isinstance(self.value, Mapping):
            self.expected("an object")
        if key not in self.value:
            raise UsageError(f"{str(key)!r} is missing", where=self.path, fix=_FIX)
        return _Node(self.value[key], f"{self.path}.{key}")

    def items(self) -> list[_Node]:
        if not isinstance(self.value, list):
            self.expected("a list")
        return [_Node(each, f"{self.path}[{place}]") for place, each in enumerate(self.value)]

    def text(self) -> str:
        return self.value if isinstance(self.value, str) else self.expected("text")

    def texts(self) -> tuple[str, ...]:
        return tuple(each.text() for each in self.items())

    def whole_number(self) -> int:
        value = self.value
        return (
            value
            if isinstance(value, int) and not isinstance(value, bool)
            else self.expected("a whole number")
        )

    def number(self) -> float:
        """NaN for null."""
        if self.value is None:
            return math.nan
        if isinstance(self.value, str) and self.value in _INFINITIES:
            return _INFINITIES[self.value]
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            self.expected("a number, null, 'Infinity' or '-Infinity'")
        try:
            return float(self.value)
        except OverflowError:
            self.expected("a number that a computer can hold")

    def flag(self) -> bool:
        return self.value if isinstance(self.value, bool) else self.expected("true or false")

    def one_of(self, choices: type[Choice]) -> Choice:
        try:
            return choices(self.text())
        except ValueError:
            raise UsageError(
                f"{self.value!r} is none of them", where=self.path, fix=did_you_mean(self.value, choices)
            ) from None

    def expected(self, what: str) -> NoReturn:
        is_whole = isinstance(self.value, list | Mapping)
        self.wrong(f"must be {what}, not {type(self.value).__name__ if is_whole else repr(self.value)[:40]}")

    def wrong(self, what: str) -> NoReturn:
        raise UsageError(f"it {what}", where=self.path, fix=_FIX)


def _check_schema(version: _Node) -> None:
    found = version.whole_number()
    if found > SCHEMA_VERSION:
        raise UsageError(
            f"it is of schema {found}; this mtlbench reads {SCHEMA_VERSION}",
            where=version.path,
            fix="Read it with the mtlbench that wrote it, or a newer one",
        )
    if found != SCHEMA_VERSION:
        version.wrong(f"is of schema {found}, which never was")


def _read_side(side: _Node) -> Side:
    return Side(
        folder=Path(side.get("folder").text()),
        suite=side.get("suite").text(),
        run_id=side.get("run_id").text(),
        commits=side.get("commits").texts(),
        machines=side.get("machines").texts(),
    )


def _read_finding(row: _Node) -> Finding:
    numbers = {key: _optional(row.get(key)) for key in _NUMBERS}
    ends = [row.get(key) for key in (_LOW, _HIGH, _LEVEL)]
    n = row.get("n")
    return Finding(
        cell=row.get("cell").text(),
        metric=row.get("metric").text(),
        tier=row.get("tier").one_of(Tier),
        verdict=row.get("verdict").one_of(Verdict),
        sentence=row.get("sentence").text(),
        unit=row.get("unit").text(),
        interval_percent=None if ends[-1].value is None else Interval(*(end.number() for end in ends)),
        n=None if n.value is None else n.whole_number(),
        is_confirmed=row.get("is_confirmed").flag(),
        **numbers,
    )


def _optional(node: _Node) -> float | None:
    return None if node.value is None else node.number()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
