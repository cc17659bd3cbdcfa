"""Options take lists and tuples for each other, at any depth, and nothing else for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from mtlbench import heads
from mtlbench.component import Options, Row
from mtlbench.errors import SuiteError
from mtlbench.heads.multiscale import MultiScaleHead
from mtlbench.suite.load import load_suite
from mtlbench.testing import Case
from mtlbench.variants.static_mtl import StaticMTL


class Inner(Options):
    pair: tuple[int, str] = (1, "a")


class Wide(Options):
    widths: tuple[int, ...] = (8, 16)
    names: list[str] = Field(default_factory=list)
    grid: list[tuple[Annotated[float, Field(gt=0)], int]] | None = None
    spans: dict[str, tuple[int, int]] = Field(default_factory=dict)
    inner: Inner = Inner()
    row: Row[tuple[int, int]] = (1, 2)
    type: str = "a field of this name is no type of a schema"


def test_what_json_makes_of_options_is_taken_again():
    options = Wide(
        widths=(1, 2), names=["a"], grid=[(1.0, 2)], spans={"x": (1, 2)}, inner=Inner(pair=(2, "b"))
    )
    assert Wide.model_validate(options.model_dump(mode="json")) == options
    assert Wide.model_validate(options.model_dump()) == options


def test_each_stands_for_the_other_and_the_declared_kind_is_kept():
    options = Wide.model_validate(
        {"widths": [1], "names": ("a", "b"), "grid": ([0.5, 1],), "spans": {"x": [1, 2]}}
    )
    assert options.widths == (1,)
    assert options.names == ["a", "b"]
    assert options.grid == [(0.5, 1)]
    assert options.spans == {"x": (1, 2)}


@pytest.mark.parametrize(
    ("given", "loc"),
    [
        ({"widths": [1.0]}, ("widths", 0)),
        ({"widths": ["1"]}, ("widths", 0)),
        ({"widths": "12"}, ("widths",)),
        ({"names": [1]}, ("names", 0)),
        ({"grid": [[0.0, 1]]}, ("grid", 0, 0)),
        ({"spans": {"x": [1]}}, ("spans", "x", 1)),
        ({"inner": {"pair": [1, 2]}}, ("inner", "pair", 1)),
    ],
)
def test_items_are_as_strict_as_ever(given: dict[str, Any], loc: tuple[str | int, ...]):
    with pytest.raises(ValidationError) as refused:
        Wide.model_validate(given)
    assert [error["loc"] for error in refused.value.errors()] == [loc]


class WideHeadOptions(Options):
    width: int = 8
    widths: tuple[int, ...] = (8, 16)


class WideHead(MultiScaleHead):
    name = "wide"
    Options = WideHeadOptions


class BadDefault(MultiScaleHead):
    name = "bad_default"

    class Options(Options):
        width: int = 8
        widths: tuple[int, ...] = "wide"


SUITE = """
suite: wide
datasets: {name: scenes, size: [32, 32]}
encoders: {name: vit, arch: nano}
variants: [static_mtl]
head: HEAD
"""


def loaded(folder: Path, head: str):
    path = folder / "wide.yaml"
    path.write_text(SUITE.replace("HEAD", head))
    return load_suite(str(path))


@pytest.fixture
def _wide(monkeypatch):
    for kind in (WideHead, BadDefault):
        monkeypatch.setitem(heads.registry._targets, kind.name, kind)


@pytest.mark.usefixtures("_wide")
@pytest.mark.parametrize(
    ("head", "widths"), [("wide", [8, 16]), ("{name: wide, widths: [1, 2, 3]}", [1, 2, 3])]
)
def test_a_tuple_needs_no_special_declaration(tmp_path, head, widths):
    suite = loaded(tmp_path, head)
    assert suite.head.options["widths"] == widths
    assert WideHead.Options.model_validate(suite.head.options).widths == tuple(widths)


@pytest.mark.usefixtures("_wide")
@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("{name: wide, widths: 3}", "6:28: widths must be a list, got 3"),
        ("{name: wide, widths: [1, two]}", "6:32: widths.1 must be a whole number, got 'two'"),
        ("bad_default", "6:7: the default of widths must be a list, got 'wide'"),
    ],
)
def test_what_is_expected_is_said_truly(tmp_path, head, message):
    with pytest.raises(SuiteError) as refused:
        loaded(tmp_path, head)
    assert str(refused.value).endswith(f"wide.yaml:{message}")


@pytest.mark.parametrize("widths", [(1, 2), [1, 2]])
def test_a_case_takes_either(widths):
    class Widths(StaticMTL):
        class Options(Options):
            widths: list[int] = Field(default_factory=list)

    assert Case.small(Widths, widths=widths).build().options.widths == [1, 2]
