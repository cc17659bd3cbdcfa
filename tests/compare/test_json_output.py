"""A comparison as JSON: the same when read back, and refused by name where it is not what was written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from comparisons import COMPARISONS, ONE_EACH, PASS, REGRESSION, compared, hostile, many, mixtures
from hypothesis import given, settings

from mtlbench.compare.outputs.json_file import from_json, to_json
from mtlbench.compare.verdict import Comparison, Finding
from mtlbench.errors import UsageError
from mtlbench.stats.quantiles import Interval


def strict(text: str) -> dict[str, Any]:
    """As a reader that takes nothing but JSON sees it."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(text, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("findings", mixtures(), ids=lambda those: "+".join(each.verdict for each in those))
def test_every_mixture_is_read_back_as_it_was(findings: tuple[Finding, ...]) -> None:
    comparison = compared(*findings, notes=("One.", "Two."))
    assert from_json(to_json(comparison)) == comparison
    assert strict(to_json(comparison))["exit_code"] == comparison.exit_code


@settings(max_examples=60, deadline=None)
@given(COMPARISONS)
def test_anything_is_read_back_as_it_was(comparison: Comparison) -> None:
    text = to_json(comparison)
    assert from_json(text) == comparison
    assert text.isascii()
    strict(text)


def test_nasty_strings_and_many_findings_are_read_back() -> None:
    for comparison in (hostile(), many(500, *ONE_EACH)):
        assert from_json(to_json(comparison)) == comparison


def test_findings_are_flat_and_hold_every_field() -> None:
    found = strict(to_json(compared(REGRESSION, PASS)))
    first = found["findings"][0]
    assert not any(isinstance(value, dict | list) for value in first.values())
    names = {field.name for field in fields(Finding)} - {"interval_percent"}
    assert names | {f"change_percent.ci_{end}" for end in ("low", "high", "level")} == set(first)
    assert [first[f"change_percent.ci_{end}"] for end in ("low", "high", "level")] == [10.12, 14.03, 0.98]
    assert found["counts"] == {
        "regression": 1,
        "missing": 0,
        "not comparable": 0,
        "inconclusive": 0,
        "improvement": 0,
        "pass": 1,
    }


def test_nan_is_null_and_infinity_a_text() -> None:
    odd = replace(PASS, base=math.nan, head=math.inf, interval_percent=Interval(-math.inf, math.nan, 0.98))
    row = strict(to_json(compared(odd)))["findings"][0]
    assert (row["base"], row["head"]) == (None, "Infinity")
    assert (row["change_percent.ci_low"], row["change_percent.ci_high"]) == ("-Infinity", None)
    (read,) = from_json(to_json(compared(odd))).findings
    assert read.interval_percent is not None
    assert read.interval_percent.low == -math.inf
    assert math.isnan(read.interval_percent.high)


def test_numbers_of_numpy_are_numbers() -> None:
    odd = replace(PASS, base=np.float32(1.5), n=np.int64(3), is_confirmed=np.bool_(True))
    assert from_json(to_json(compared(odd))).findings[0] == replace(PASS, base=1.5, n=3, is_confirmed=True)


def with_value(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in parents:
            found = found[key]  # type: ignore[index]  # a list takes the whole numbers
        found[last] = value  # type: ignore[index]  # the same

    return change


def without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in parents:
            found = found[key]  # type: ignore[index]  # as above
        del found[last]  # type: ignore[arg-type]  # as above

    return change


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        (with_value("schema_version", 2), "comparison.schema_version", "schema 2; this mtlbench reads 1"),
        (with_value("schema_version", 0), "comparison.schema_version", "schema 0"),
        (with_value("schema_version", True), "comparison.schema_version", "a whole number, not True"),
        (with_value("schema_version", "1"), "comparison.schema_version", "a whole number, not '1'"),
        (without("schema_version"), "comparison", "'schema_version' is missing"),
        (without("findings"), "comparison", "'findings' is missing"),
        (with_value("findings", {}), "comparison.findings", "a list, not dict"),
        (with_value("findings/1", 3), "comparison.findings[1]", "an object, not 3"),
        (with_value("findings/1/base", "3.4"), "comparison.findings[1].base", "a number"),
        (with_value("findings/1/base", True), "comparison.findings[1].base", "a number"),
        (with_value("findings/1/base", 10**400), "comparison.findings[1].base", "a computer can hold"),
        (with_value("findings/1/n", 3.5), "comparison.findings[1].n", "a whole number, not 3.5"),
        (with_value("findings/1/is_confirmed", 1), "comparison.findings[1].is_confirmed", "true or false"),
        (with_value("findings/1/cell", None), "comparison.findings[1].cell", "text, not None"),
        (with_value("findings/0/verdict", "regresion"), "comparison.findings[0].verdict", "'regression'"),
        (with_value("findings/0/tier", "speed"), "comparison.findings[0].tier", "Known: exact, front"),
        (without("findings/0/sentence"), "comparison.findings[0]", "'sentence' is missing"),
        (with_value("notes", "x"), "comparison.notes", "a list, not 'x'"),
        (with_value("notes", [1]), "comparison.notes[0]", "text, not 1"),
        (with_value("base", []), "comparison.base", "an object, not list"),
        (with_value("head/commits", None), "comparison.head.commits", "a list, not None"),
        (with_value("counts/pass", 5), "comparison.counts", "not those of the findings"),
        (without("counts/not comparable"), "comparison.counts", "'not comparable' is missing"),
        (with_value("exit_code", 0), "comparison.exit_code", "4"),
    ],
)
def test_what_was_not_written_so_is_refused_by_name(
    change: Callable[[dict[str, Any]], None], where: str, words: str
) -> None:
    found = strict(to_json(compared(*ONE_EACH)))
    change(found)
    with pytest.raises(UsageError) as caught:
        from_json(json.dumps(found))
    assert caught.value.where == where
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "not json", '{"a": NaN}', "[" * 100_000, '{"schema_version": 1'])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="it is not JSON"):
        from_json(text)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"text"'])
def test_json_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="must be an object"):
        from_json(text)


def test_keys_that_a_later_version_adds_are_passed_over() -> None:
    found = strict(to_json(compared(*ONE_EACH)))
    found["added"] = found["findings"][0]["added"] = 1
    assert from_json(json.dumps(found)) == compared(*ONE_EACH)
