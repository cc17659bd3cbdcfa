from __future__ import annotations

import copy
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtlbench.errors import SuiteError
from mtlbench.suite import include
from mtlbench.suite.include import load, merge, shipped_suites
from mtlbench.suite.yaml_source import Document, Position


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def refused(path: Path) -> SuiteError:
    with pytest.raises(SuiteError) as caught:
        load(path)
    return caught.value


def test_the_including_file_overrides_what_it_includes(tmp_path: Path) -> None:
    document = load(
        write(
            tmp_path,
            a="include: b.yaml\nmeasure:\n  rounds: 9\nseeds: [1]\n",
            b="suite: b\nmeasure:\n  launches: 6\n  rounds: 5\nseeds: [0, 1, 2]\n",
        )
    )
    assert document.value == {"suite": "b", "measure": {"launches": 6, "rounds": 9}, "seeds": [1]}
    at = {path: str(position).removeprefix(f"{tmp_path}/") for path, position in document.positions.items()}
    assert at == {
        (): "a.yaml:1:1",
        ("suite",): "b.yaml:1:8",
        ("measure",): "a.yaml:3:3",
        ("measure", "launches"): "b.yaml:3:13",
        ("measure", "rounds"): "a.yaml:3:11",
        ("seeds",): "a.yaml:4:8",
        ("seeds", 0): "a.yaml:4:9",
    }
    keys = {
        path: str(position).removeprefix(f"{tmp_path}/") for path, position in document.key_positions.items()
    }
    assert keys == {
        ("suite",): "b.yaml:1:1",
        ("measure",): "a.yaml:2:1",
        ("measure", "launches"): "b.yaml:3:3",
        ("measure", "rounds"): "a.yaml:3:3",
        ("seeds",): "a.yaml:4:1",
    }


def test_later_includes_override_earlier_ones(tmp_path: Path) -> None:
    path = write(tmp_path, a="include: [b.yaml, c.yaml]", b="x: {p: 1, q: 1}\ny: 1", c="x: {q: 2, r: 2}")
    assert load(path).value == {"x": {"p": 1, "q": 2, "r": 2}, "y": 1}


def test_null_deletes_what_is_included_and_stays_otherwise(tmp_path: Path) -> None:
    path = write(
        tmp_path, a="include: b.yaml\nx: {p: null, r: null}\ny:\nz: null", b="x: {p: 1, q: 1}\ny: {a: 1}"
    )
    document = load(path)
    assert document.value == {"x": {"q": 1, "r": None}, "z": None}
    assert set(document.positions) == {(), ("x",), ("x", "q"), ("x", "r"), ("z",)}
    assert set(document.key_positions) == set(document.positions) - {()}


def test_mappings_scalars_and_lists_replace_each_other(tmp_path: Path) -> None:
    path = write(tmp_path, a="include: b.yaml\nx: 1\ny: {p: 1}\nz: {q: 1}", b="x: {p: 1}\ny: 2\nz: [1, 2]")
    document = load(path)
    assert document.value == {"x": 1, "y": {"p": 1}, "z": {"q": 1}}
    assert ("x", "p") not in document.positions
    assert ("z", 0) not in document.positions


def test_names_are_relative_to_the_including_file(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts", b="include: c.yaml\nb: 1", c="include: ../d.yaml\nc: 1")
    path = write(tmp_path, a="include: parts/b.yaml", d="d: 1")
    assert load(path).value == {"b": 1, "c": 1, "d": 1}
    assert load(write(tmp_path, e=f"include: {tmp_path}/d.yaml")).value == {"d": 1}


def test_diamonds_are_no_cycles(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        a="include: [b.yaml, c.yaml]\na: 1",
        b="include: d.yaml\nb: 1\nx: b",
        c="include: d.yaml\nc: 1",
        d="d: 1\nx: d",
    )
    assert load(path).value == {"a": 1, "b": 1, "c": 1, "d": 1, "x": "d"}


@pytest.mark.parametrize(
    ("files", "where", "chain"),
    [
        ({"a": "include: a.yaml"}, "a.yaml:1:10", "a.yaml -> a.yaml"),
        (
            {"a": "include: b.yaml", "b": "x: 1\ninclude: [a.yaml]"},
            "b.yaml:2:11",
            "a.yaml -> b.yaml -> a.yaml",
        ),
        (
            {"a": "include: b.yaml", "b": "include: c.yaml", "c": "include: ./b.yaml"},
            "c.yaml:1:10",
            "b.yaml -> c.yaml -> b.yaml",
        ),
    ],
)
def test_cycles_are_refused_with_their_chain(
    tmp_path: Path, files: dict[str, str], where: str, chain: str
) -> None:
    error = refused(write(tmp_path, **files))
    assert error.where == f"{tmp_path}/{where}"
    assert error.what.replace(f"{tmp_path}/", "") == f"a file includes itself: {chain}"


def test_a_cycle_through_a_link_is_a_cycle(tmp_path: Path) -> None:
    path = write(tmp_path, a="include: b.yaml")
    (tmp_path / "b.yaml").symlink_to(path)
    assert "includes itself" in refused(path).what


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("include: 3", "a.yaml:1:10", "include must be a file name or a list of file names"),
        ("include:", "a.yaml:1:9", "include must be"),
        ("include: ''", "a.yaml:1:10", "include must be"),
        ("include: {b: c}", "a.yaml:1:10", "include must be"),
        ("include: [base.yaml, [base.yaml]]", "a.yaml:1:22", "include must be"),
        ("include: basis.yaml", "a.yaml:1:10", "Did you mean 'base.yaml'"),
        ("include: [base.yaml, .]", "a.yaml:1:22", "is not a file"),
        ('include: "a\\0b"', "a.yaml:1:10", "there is no file"),
        ("include: " + "x" * 9999, "a.yaml:1:10", "cannot be read"),
        (
            "include: mtlbench:quickstrat",
            "a.yaml:1:10",
            "ships no suite 'quickstrat'. Did you mean 'quickstart'",
        ),
        ("include: broken.yaml", "broken.yaml:2:1", "'\\t'"),
    ],
)
def test_what_include_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, where: str, says: str
) -> None:
    monkeypatch.setattr(include, "shipped_suites", lambda: {"quickstart": tmp_path / "base.yaml"})
    error = refused(write(tmp_path, a=text, base="x: 1", broken="a:\n\tb: 1"))
    assert error.where == f"{tmp_path}/{where}"
    assert says in str(error)


def test_include_counts_at_the_top_level_only(tmp_path: Path) -> None:
    assert load(write(tmp_path, a="x: {include: b.yaml}")).value == {"x": {"include": "b.yaml"}}


def test_shipped_suites_can_be_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, shipped="x: 1")
    monkeypatch.setattr(include, "shipped_suites", lambda: {"shipped": tmp_path / "shipped.yaml"})
    assert load(write(tmp_path, a="include: mtlbench:shipped\ny: 2")).value == {"x": 1, "y": 2}


def test_shipped_suites_of_a_package_of_a_checkout_and_of_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(include, "__file__", str(tmp_path / "mtlbench" / "suite" / "include.py"))
    (tmp_path / "suites").mkdir()
    write(tmp_path / "suites", mine="x: 1")
    assert shipped_suites() == {}, "a folder beside an installed package belongs to somebody else"
    (tmp_path / "pyproject.toml").touch()
    assert shipped_suites() == {"mine": tmp_path / "suites" / "mine.yaml"}
    (tmp_path / "mtlbench" / "suites").mkdir(parents=True)
    write(tmp_path / "mtlbench" / "suites", packed="x: 1")
    assert shipped_suites() == {"packed": tmp_path / "mtlbench" / "suites" / "packed.yaml"}


def test_includes_are_bounded(tmp_path: Path) -> None:
    path = write(tmp_path, a=f"include: [{', '.join(['b.yaml'] * 65)}]", b="x: 1")
    assert "more than 64 includes" in refused(path).what
    chain = {f"f{i}": f"include: f{i + 1}.yaml" for i in range(70)}
    assert "more than 64 includes" in refused(write(tmp_path, **chain)).what
    doubling = {f"g{i}": f"include: [g{i + 1}.yaml, g{i + 1}.yaml]" for i in range(30)} | {"g30": "x: 1"}
    assert load(write(tmp_path, **doubling)).value == {"x": 1}
    large = {f"h{i}": f"h{i}: [{'1,' * 15_000}]" for i in range(2)}
    path = write(tmp_path, h="include: [h0.yaml, h1.yaml]", **large)
    assert "with its includes" in refused(path).what


values = st.recursive(
    st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=10,
)
mappings = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def placed(value: dict[str, Any], file: str) -> Document:
    positions: dict[tuple[str | int, ...], Position] = {}
    keys: dict[tuple[str | int, ...], Position] = {}

    def walk(item: Any, path: tuple[str | int, ...]) -> None:
        positions[path] = Position(Path(file), len(positions) + 1, 1)
        if path and isinstance(path[-1], str):
            keys[path] = Position(Path(file), len(positions), 2)
        for key, below in (
            item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        ):
            walk(below, (*path, key))

    walk(value, ())
    return Document(value, positions, keys)


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@given(mappings, mappings)
def test_every_merged_value_is_found_where_it_was_written(low: dict[str, Any], high: dict[str, Any]) -> None:
    base, over = placed(low, "base"), placed(high, "over")
    before = copy.deepcopy((base, over))
    merged = merge(base, over)
    assert (base, over) == before
    expected = placed(merged.value, "any")
    assert set(merged.positions) == set(expected.positions)
    assert set(merged.key_positions) == set(expected.key_positions)
    for path, position in merged.positions.items():
        source = {"base": base, "over": over}[str(position.file)]
        assert source.positions[path] == position
        written, kept = at(source.value, path), at(merged.value, path)
        assert isinstance(kept, dict) if isinstance(written, dict) else written == kept


@given(mappings)
def test_merging_with_nothing_or_itself_changes_nothing(value: dict[str, Any]) -> None:
    document = placed(value, "base")
    assert merge(document, placed({}, "over")).value == value
    assert merge(placed({}, "base"), document).value == value


# Whatever a file holds, load() returns a document or raises SuiteError, and soon.

SEEDS = [
    """\
suite: demo
description: "a suite: with text"
include: base.yaml
datasets: {name: clothing, size: [128, 96]}
tasks: [semseg, human_parts]
encoders: &e [vit_tiny, {name: swin, depth: 2}]
variants:
  - name: adamtl
    axes: {keep: [1.0, 0.5, 1e-1]}
  - static_mtl
hardware: [{device: cpu, threads: 1}, {device: cuda, batch: 8}]
again: *e
measure:
  launches: 6
  max_seconds: 2.5
  energy: ~
text: |
  two
  lines
""",
    '{"suite": "json", "seeds": [0, 1, 2], "measure": {"launches": 6, "crosscheck": true}, "u": "\\u00e9"}',
    "include: [base.yaml, mtlbench:quickstart]\na: {b: {c: {d: [1, [2, [3]]]}}}\n",
]
PIECES = [
    *(
        "[",
        "{",
        "}",
        "]",
        ":",
        ": ",
        "- ",
        "? ",
        "&x ",
        "*x",
        "!",
        "!!int ",
        "!!python/name:os.system ",
        "|",
        ">",
        "'",
    ),
    *(
        '"',
        "\\",
        "\\U",
        "\\xff",
        "%",
        "@",
        "`",
        "#",
        ",",
        "\n",
        "\t",
        "\r",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
        "---\n",
    ),
    *(
        "...\n",
        "<<: ",
        "null",
        "1e999",
        "010",
        ".nan",
        "9" * 30,
        "include: ",
        "fuzzed.yaml",
        "\ud7ff",
        "é",
        "  ",
        "~",
    ),
]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 8)):
        i, j = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        kind = chance.randrange(8)
        if kind == 0:
            del data[i : min(j, i + chance.choice([1, 5, 50]))]
        elif kind == 1:
            data[i:i] = data[i : min(j, i + 100)] * chance.choice([1, 2, 20])
        elif kind == 2:
            data[i:i] = chance.randbytes(chance.randint(1, 4))
        elif kind == 3:
            data[i:i] = chance.choice(PIECES).encode()
        elif kind == 4:
            data[i:i] = (chance.choice(PIECES) * chance.choice([2, 60, 3000])).encode()
        elif kind == 5:
            lines = bytes(data).split(b"\n")
            chance.shuffle(lines)
            data = bytearray(b"\n".join(lines))
        elif kind == 6:
            words = bytes(data).split(b" ")
            words[chance.randrange(len(words))] = chance.choice(PIECES).encode()
            data = bytearray(b" ".join(words))
        else:
            data[i:i] = chance.choice([BOMB.encode(), b"\n" + BOMB.encode()])
    return bytes(data)


def outcome(path: Path, data: bytes) -> Document | SuiteError:
    path.write_bytes(data)
    start = time.process_time()
    try:
        result: Document | SuiteError = load(path)
    except SuiteError as error:
        result = error
    assert time.process_time() - start < 1
    return result


def check(path: Path, data: bytes) -> None:
    result = outcome(path, data)
    if isinstance(result, SuiteError):
        assert str(result.where).startswith(str(path.parent))
        assert str(result).isprintable()
        assert result.fix
    else:
        assert isinstance(result.value, dict)
        assert set(result.positions) == set(placed(result.value, "any").positions)


@given(st.integers(0, 2**32), st.integers(0, len(SEEDS) - 1))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_suites_load_or_are_refused(tmp_path: Path, number: int, seed: int) -> None:
    write(tmp_path, base="measure: {rounds: 5}\nsuite: base\n")
    check(tmp_path / "fuzzed.yaml", mutated(SEEDS[seed].encode(), random.Random(number)))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_load_or_are_refused(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "fuzzed.yaml", data)


@given(st.lists(st.sampled_from(PIECES), max_size=40))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_pieces_of_yaml_load_or_are_refused(tmp_path: Path, pieces: list[str]) -> None:
    check(tmp_path / "fuzzed.yaml", "".join(pieces).encode())


def test_the_unmutated_seeds_do_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, base="measure: {rounds: 5}\nsuite: base\n")
    monkeypatch.setattr(include, "shipped_suites", lambda: {"quickstart": tmp_path / "base.yaml"})
    for seed in SEEDS:
        assert isinstance(outcome(tmp_path / "fuzzed.yaml", seed.encode()), Document)
