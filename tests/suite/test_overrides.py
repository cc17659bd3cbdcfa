from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtlbench.errors import UsageError
from mtlbench.suite.overrides import apply_override
from mtlbench.suite.yaml_source import Document, read_document

SUITE = """\
suite: demo
measure: {launches: 6, rounds: 5}
training:
variants:
  - name: adamtl
    axes: {keep: [1.0, 0.5]}
  - static_mtl
"""


@pytest.fixture
def suite(tmp_path: Path) -> Document:
    (tmp_path / "a.yaml").write_text(SUITE)
    return read_document(tmp_path / "a.yaml")


def places(document: Document) -> dict[tuple[str | int, ...], str]:
    return {path: str(at).rsplit("/", 1)[-1] for path, at in document.positions.items()}


def test_a_value_is_replaced_and_found_on_the_command_line(suite: Document) -> None:
    before = copy.deepcopy(suite)
    changed = apply_override(suite, "measure.launches=9")
    assert suite == before
    assert changed.value["measure"] == {"launches": 9, "rounds": 5}
    assert places(changed)[("measure", "launches")] == "--set measure.launches=9"
    assert places(changed)[("measure", "rounds")] == places(suite)[("measure", "rounds")] == "a.yaml:2:32"
    assert places(changed)[("measure",)] == "a.yaml:2:10"
    assert str(changed.key_positions[("measure", "launches")]).endswith("a.yaml:2:11"), (
        "the file wrote this key"
    )


def test_a_list_below_a_list_index(suite: Document) -> None:
    changed = apply_override(suite, "variants.0.axes.keep=[1, 0.5, 1e-1]")
    assert changed.value["variants"] == [{"name": "adamtl", "axes": {"keep": [1, 0.5, 0.1]}}, "static_mtl"]
    keep = {path: at for path, at in places(changed).items() if path[:4] == ("variants", 0, "axes", "keep")}
    assert len(keep) == 4
    assert set(keep.values()) == {"--set variants.0.axes.keep=[1, 0.5, 1e-1]"}


def test_replacing_a_subtree_forgets_where_it_was(suite: Document) -> None:
    changed = apply_override(suite, "variants=adamtl")
    assert changed.value["variants"] == "adamtl"
    assert not [
        path for path in {**changed.positions, **changed.key_positions} if path[:1] == ("variants",) != path
    ]
    item = apply_override(suite, "variants.1={name: x, axes: {}}")
    assert item.value["variants"][1] == {"name": "x", "axes": {}}
    assert str(item.key_positions[("variants", 1, "name")]) == "--set variants.1={name: x, axes: {}}"


def test_missing_keys_are_made_also_below_null(suite: Document) -> None:
    changed = apply_override(suite, "a.b.0=x")
    assert changed.value["a"] == {"b": {"0": "x"}}
    changed = apply_override(changed, "training.epochs=3")
    assert changed.value["training"] == {"epochs": 3}
    assert {places(changed)[path] for path in [("a",), ("a", "b"), ("a", "b", "0")]} == {"--set a.b.0=x"}
    assert places(changed)[("training",)] == "--set training.epochs=3"
    assert str(changed.key_positions[("a", "b")]) == "--set a.b.0=x"
    assert set(changed.key_positions) == {
        path for path in changed.positions if path and isinstance(path[-1], str)
    }


def test_the_last_of_several_wins(suite: Document) -> None:
    changed = apply_override(apply_override(suite, "x.y=1"), "x={z: 2}")
    assert changed.value["x"] == {"z": 2}
    assert ("x", "y") not in changed.positions
    assert ("x", "y") not in changed.key_positions


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6", 6),
        ("1e-3", 0.001),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("''", ""),
        ("a=b", "a=b"),
        (" 6 # six", 6),
        ("[a, {b: [1]}]", ["a", {"b": [1]}]),
        ("1:30", "1:30"),
    ],
)
def test_the_right_side_is_yaml(suite: Document, written: str, meant: object) -> None:
    value = apply_override(suite, f"x={written}").value["x"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("measure.launches", "there is no '='"),
        ("", "there is no '='"),
        ("=3", "a key before '=' is empty"),
        ("a..b=3", "a key before '=' is empty"),
        (".a=3", "a key before '=' is empty"),
        ("a.\x1b=3", "cannot be printed"),
        ("x=", "there is no value after '='"),
        ("x=# nothing", "there is no value after '='"),
        ("x=[1, 2", "not valid YAML"),
        ("x=!!python/name:os.system", "tag '!!python/name:os.system' is not allowed"),
        ("x=010", "begins with 0"),
        ("x=.inf", "not a finite number"),
        ("x=*a", "undefined alias"),
        ("x={a: 1, a: 2}", "written twice"),
        ("x=\x00", "character U+0000"),
        ("x=\udcff", "character U+DCFF"),
        ("x=" + "[" * 99, "nested over 50 deep"),
        ("x=[" + "1," * 30_000 + "]", "20000 values"),
        ("variants.2=x", "'variants' is a list of 2 without item '2'"),
        ("variants.-1=x", "without item '-1'"),
        ("variants.name=x", "without item 'name'"),
        ("variants.0.axes.keep.2=0.1", "'variants.0.axes.keep' is a list of 2 without item '2'"),
        ("variants." + "1" * 5000 + "=x", "without item"),
        ("variants.\u0661=x", "without item"),
        ("suite.name=x", "'suite' is a single value and holds no 'name'. Set 'suite' itself"),
        ("variants.1.name=x", "'variants.1' is a single value"),
        ("include=b.yaml", "include cannot be set"),
        ("include.0=b.yaml", "include cannot be set"),
        (".".join("a" * 51) + "=1", "over 50 keys deep"),
    ],
)
def test_what_is_refused(suite: Document, text: str, says: str) -> None:
    before = copy.deepcopy(suite)
    with pytest.raises(UsageError) as caught:
        apply_override(suite, text)
    message = str(caught.value)
    assert says in message
    assert message.encode().startswith(f"--set {text[:20]}".encode("utf-8", "backslashreplace")), message
    assert len(message) < 400
    assert caught.value.exit_code == 2
    assert suite == before


@given(
    st.lists(
        st.sampled_from(["variants", "measure", "0", "1", "2", "axes", "keep", "x", "", "\n"]), max_size=5
    ),
    st.sampled_from(["=", "", "=="]),
    st.text(max_size=10) | st.integers().map(json.dumps),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_sets_one_value_or_is_refused(
    suite: Document, keys: list[str], sign: str, right: str
) -> None:
    try:
        changed = apply_override(suite, ".".join(keys) + sign + right)
    except UsageError:
        return
    value = changed.value
    for key in keys:
        value = value[int(key) if isinstance(value, list) else key]
    assert all(changed.resolve(path) == path for path in changed.positions)
