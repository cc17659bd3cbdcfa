from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.errors import SuiteError
from mtlbench.suite import yaml_source
from mtlbench.suite.yaml_source import Document, Position, read_document

SUITE = """\
# a comment
suite: demo

measure: {launches: 6, energy: auto}
variants:
  - name: adamtl
    axes:
      keep: [1.0, 0.5]
  - static_mtl
"""


def write(folder: Path, text: str | bytes, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes) -> Document:
    return read_document(write(folder, text))


def refused(folder: Path, text: str | bytes) -> str:
    with pytest.raises(SuiteError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def test_values_and_positions_of_a_suite(tmp_path: Path) -> None:
    document = read(tmp_path, SUITE)
    assert document.value == {
        "suite": "demo",
        "measure": {"launches": 6, "energy": "auto"},
        "variants": [{"name": "adamtl", "axes": {"keep": [1.0, 0.5]}}, "static_mtl"],
    }
    at = {path: (p.line, p.column) for path, p in document.positions.items()}
    assert at == {
        (): (2, 1),
        ("suite",): (2, 8),
        ("measure",): (4, 10),
        ("measure", "launches"): (4, 21),
        ("measure", "energy"): (4, 32),
        ("variants",): (6, 3),
        ("variants", 0): (6, 5),
        ("variants", 0, "name"): (6, 11),
        ("variants", 0, "axes"): (8, 7),
        ("variants", 0, "axes", "keep"): (8, 13),
        ("variants", 0, "axes", "keep", 0): (8, 14),
        ("variants", 0, "axes", "keep", 1): (8, 19),
        ("variants", 1): (9, 5),
    }
    keys = {path: (p.line, p.column) for path, p in document.key_positions.items()}
    assert keys[("variants", 0, "axes")] == (7, 5)
    assert keys[("measure", "energy")] == (4, 24)
    assert set(keys) == {path for path in at if path and isinstance(path[-1], str)}
    assert str(document.positions[("measure", "launches")]) == f"{tmp_path}/a.yaml:4:21"


def test_position_of_what_is_not_written_is_the_nearest_around_it(tmp_path: Path) -> None:
    document = read(tmp_path, SUITE)
    assert document.where(("variants", 1, "axes", "keep")) == f"{tmp_path}/a.yaml:9:5"
    assert document.where(("measure", "rounds")) == f"{tmp_path}/a.yaml:4:10"
    assert document.where(("nowhere", "suite")) == f"{tmp_path}/a.yaml:2:1"
    assert document.where(("measure", 0, "launches")) == f"{tmp_path}/a.yaml:4:21", (
        "one item stands for its list"
    )
    assert document.where(("variants", 7, "name")) == f"{tmp_path}/a.yaml:6:3"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("None", "None"),
        ("6", 6),
        ("-6", -6),
        ("+6", 6),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1e-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.25", -0.25),
        ("01.5", 1.5),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("0b11", "0b11"),
        ("2024-01-31", "2024-01-31"),
        ("1.2.3", "1.2.3"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("=", "="),
        ("-", None),
        ("'6'", "6"),
        ('"true"', "true"),
        ("'010'", "010"),
        ("!!str 6", "6"),
        ("!!float 6", 6.0),
        ("!!int '6'", 6),
        (r'"\ud83d\ude00"', "\U0001f600"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("'é \U0001f600'", "é \U0001f600"),
    ],
)
def test_scalars_follow_the_core_schema(tmp_path: Path, written: str, meant: object) -> None:
    if written == "-":
        assert read(tmp_path, "a:\n-").value == {"a": [None]}
        return
    value = read(tmp_path, f"a: {written}").value["a"]
    assert value == meant
    assert type(value) is type(meant)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))
def test_numbers_survive_as_python_writes_them(
    tmp_path_factory: pytest.TempPathFactory, x: float, n: int
) -> None:
    value = read(tmp_path_factory.getbasetemp(), f"x: {x!r}\nn: {n}\n").value
    assert value == {"x": x, "n": n}
    assert type(value["x"]) is float


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abyn0", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abyn0", max_size=3), json_values, max_size=4))
def test_json_is_read_as_json(tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]) -> None:
    document = read(tmp_path_factory.getbasetemp(), json.dumps(value))
    assert document.value == value
    assert sorted(map(repr, document.positions)) == sorted(repr(path) for path in every_path(value))


def every_path(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, item in items for below in every_path(item, (*path, key)))]


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("a: 010", "a.yaml:1:4", "'010' begins with 0"),
        ("a: -00", "a.yaml:1:4", "begins with 0"),
        ("a: 9223372036854775808", "a.yaml:1:4", "does not fit into 64 bits"),
        ("a: " + "7" * 9000, "a.yaml:1:4", "does not fit into 64 bits"),
        ("a: .nan", "a.yaml:1:4", "'.nan' is not a finite number"),
        ("a: [1, -.inf]", "a.yaml:1:8", "'-.inf' is not a finite number"),
        ("a: 1e999", "a.yaml:1:4", "'1e999' is not a finite number"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1:4", "'!!python/object/apply:os.system'"),
        ("a: !include b.yaml", "a.yaml:1:4", "tag '!include' is not allowed"),
        ("a: !!timestamp 2024-01-31", "a.yaml:1:4", "'!!timestamp'"),
        ("a: !!binary aGk=", "a.yaml:1:4", "'!!binary'"),
        ("a: !!set {b}", "a.yaml:1:4", "'!!set'"),
        ("a: !!map b", "a.yaml:1:4", "'!!map'"),
        ("a: !!str [b]", "a.yaml:1:4", "'!!str'"),
        ("a: !<str> b", "a.yaml:1:4", "'str'"),
        ("a: !!int six", "a.yaml:1:4", "'six' is not what its tag !!int says"),
        ("a: !!bool yes", "a.yaml:1:4", "'yes' is not what its tag !!bool says"),
        ("!x a: 1", "a.yaml:1:1", "tag '!x'"),
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1", "key 'a' is written twice, first at a.yaml:1:1"),
        ("a:\n  b: 1\n  'b': 2", "a.yaml:3:3", "key 'b' is written twice, first at a.yaml:2:3"),
        ("a: {<<: {b: 1}}", "a.yaml:1:5", "merge keys '<<' are not allowed. Use include"),
        ("1: a", "a.yaml:1:1", "a key must be text"),
        ("null: a", "a.yaml:1:1", "a key must be text"),
        ("true: a", "a.yaml:1:1", "a key must be text"),
        ("? [a, b]\n: c", "a.yaml:1:3", "a key must be text"),
        ("a: {1.5: c}", "a.yaml:1:5", "a key must be text"),
        ("", "a.yaml", "the file is empty"),
        ("# only a comment\n", "a.yaml", "the file is empty"),
        ("- a\n- b", "a.yaml:1:1", "the top level must be a mapping"),
        ("\n\njust text", "a.yaml:3:1", "the top level must be a mapping"),
        ("null", "a.yaml:1:1", "the top level must be a mapping"),
        ("a: [1, 2\nb: 3", "a.yaml:2:2", "not valid YAML: expected ',' or ']'"),
        ("a:\n\tb: 1", "a.yaml:2:1", "YAML does not allow tabs there"),
        ("a: b: c", "a.yaml:1:5", "Put quotes around text that holds ': '"),
        ("a: 'open", "a.yaml:1:9", "while scanning a quoted scalar"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1", "Keep one document in a file"),
        ("a: *nowhere", "a.yaml:1:4", "found undefined alias 'nowhere'"),
        ("a: *.yaml", "a.yaml:1:5", "not valid YAML"),
        ("a: &x 1\nb: &x 2", "a.yaml:2:4", "found duplicate anchor 'x'"),
        ("a: &x [1, *x]", "a.yaml:1:11", "alias '*x' stands inside what it repeats"),
        ("a: &x {b: {c: *x}}", "a.yaml:1:15", "alias '*x' stands inside what it repeats"),
        ("a: 1\nb: \x07", "a.yaml:2:4", "character U+0007 is not allowed"),
        (b"a: 1\nb: caf\xe9\n", "a.yaml:2:7", "the file is not UTF-8 text"),
        (b"\xc3\xa9: 1\nb: \xc3\xa9\xff\n", "a.yaml:2:5", "the file is not UTF-8 text"),
        ("a: 1".encode("utf-16"), "a.yaml:1:1", "the file is not UTF-8 text"),
        ('a: "\\ud800"', "a.yaml:1:4", "holds half a surrogate pair"),
        ('a: "\\UFFFFFFFF"', "a.yaml:1:7", "an escape or a version is out of range"),
        ("%YAML 1." + "9" * 5000 + "\n--- a: 1", "a.yaml:1:9", "an escape or a version is out of range"),
    ],
)
def test_what_is_refused_and_where(tmp_path: Path, text: str | bytes, where: str, says: str) -> None:
    message = refused(tmp_path, text)
    assert message.startswith(f"{where}: "), message
    assert says in message
    assert len(message) < 450


def test_line_endings_and_a_byte_order_mark_do_not_shift_positions(tmp_path: Path) -> None:
    plain = read(tmp_path, SUITE).positions
    assert read(tmp_path, SUITE.replace("\n", "\r\n")).positions == plain
    assert read(tmp_path, b"\xef\xbb\xbf" + SUITE.encode()).positions == plain


def test_columns_count_characters_not_bytes(tmp_path: Path) -> None:
    document = read(tmp_path, "é: {\U0001f600: 1}")
    assert document.positions[("é", "\U0001f600")].column == 8


def test_aliases_are_expanded_into_separate_values_found_at_the_anchor(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &x\n  k: [1]\nb: *x\n")
    assert document.value == {"a": {"k": [1]}, "b": {"k": [1]}}
    document.value["b"]["k"].append(2)
    assert document.value["a"] == {"k": [1]}
    assert document.positions[("b", "k", 0)] == Position(tmp_path / "a.yaml", 2, 7)
    assert document.key_positions[("b",)].line == 3


def bomb(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 x"]
    for i in range(1, levels):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]")
    return "\n".join(lines)


def test_a_bomb_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    start = time.perf_counter()
    message = refused(tmp_path, bomb(40))
    assert time.perf_counter() - start < 1
    assert "YAML bomb" in message
    assert message.startswith("a.yaml:6:5: "), "9^5 > 20,000: the sixth line is the first that is too large"


def test_the_budget_counts_what_aliases_expand_to(tmp_path: Path) -> None:
    repeated = 20_000 - 2 - 2  # the whole and its keys, the anchored scalar, the list
    text = "a: &x 1\nb: [{}]\n"
    assert len(read(tmp_path, text.format(", ".join(["*x"] * (repeated - 1)))).value["b"]) == repeated - 1
    assert "20000" in refused(tmp_path, text.format(", ".join(["*x"] * repeated)))


def test_many_values_without_aliases_are_refused_early(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"a: [{'1,' * 19_997}]").value["a"]) == 19_997
    assert "20000" in refused(tmp_path, f"a: [{'1,' * 19_998}]")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "\n"])
def test_deep_nesting_is_refused(tmp_path: Path, opening: str) -> None:
    deep = "".join(f"\n{' ' * i}a:" for i in range(3000)) if opening == "\n" else f"a:\n  {opening * 3000}"
    assert "nested over 50 deep" in refused(tmp_path, deep[:900_000])


def test_nesting_is_counted_with_aliases_expanded(tmp_path: Path) -> None:
    assert read(tmp_path, f"a: {'[' * 48}1{']' * 48}").value
    assert "nested over 50 deep" in refused(tmp_path, f"a: {'[' * 49}1{']' * 49}")
    chain = "a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [[[*a{i - 1}]]]" for i in range(1, 500))
    assert "nested over 50 deep" in refused(tmp_path, chain)


def test_large_files_are_refused(tmp_path: Path) -> None:
    assert read(tmp_path, "a: 1\n" + "#" * (2**20 - 5)).value == {"a": 1}
    assert refused(tmp_path, "a: 1\n" + "#" * (2**20 - 4)).startswith("a.yaml: the file is larger than 1 MiB")


@pytest.mark.parametrize(
    "text",
    [
        unit * (2**18 // len(unit))
        for unit in ["a", " ", "\n", "[", "{", "'", "- ", "a: ", "? ", "&a ", "a\n", "a: b\n"]
    ],
    ids=lambda text: repr(text[:5]),
)
def test_no_text_takes_more_than_linear_time(tmp_path: Path, text: str) -> None:
    start = time.process_time()
    refused(tmp_path, f"[{text}")
    assert time.process_time() - start < 3, "256 KiB took 0.6 s at worst; quadratic time would be hours"


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, SUITE, "quickstart.yaml")
    write(tmp_path, SUITE, "other.yml")
    for name, says in [
        ("quickstrat.yaml", "Did you mean 'quickstart.yaml'"),
        ("zzz", "Known: other.yml, quickstart.yaml"),
        ("no/a.yaml", f"There is no folder '{tmp_path}/no' either"),
        ("other.yml/a.yaml", "There is no folder"),
        (".", "is not a file"),
        ("x" * 5000, "cannot be read"),
        ("a\0b", "there is no file"),
    ]:
        with pytest.raises(SuiteError, match=re.escape(says)):
            read_document(tmp_path / name)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SuiteError, match=r"quickstart\.yaml' cannot be read: Permission denied"):
        read_document(tmp_path / "quickstart.yaml")


def test_a_missing_file_is_blamed_on_who_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        read_document(tmp_path / "no.yaml", Position(Path("b.yaml"), 3, 10))
    assert caught.value.where == "b.yaml:3:10"


def test_the_safe_loader_itself_keeps_its_resolvers() -> None:
    assert yaml.safe_load("a: yes") == {"a": True}
    assert not set(itertools.chain(yaml_source._Loader.yaml_implicit_resolvers)) - {None}
