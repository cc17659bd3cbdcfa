"""A thousand damaged suites: never a traceback, always exit 0 or 2."""

from __future__ import annotations

import random

import pytest
import yaml

from mtlbench.__main__ import main
from mtlbench.suite.include import shipped_suites

COUNT = 1000
VALUES = [
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "all",
    "single_task",
    [],
    {},
    [[]],
    {"name": "vit"},
    "1" * 500,
    ["semseg"],
    {"a": {"b": 1}},
]


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


def _set(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _set(copy[path[0]], path[1:], new)
    return copy


def _mutated_value(document, rng):
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(_places(document)))
        document = _set(document, path, rng.choice(VALUES))
    return yaml.safe_dump(document)


def _mutated_text(text, rng):
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        i = rng.randrange(len(lines))
        kind = rng.randrange(5)
        if kind == 0:
            lines[i] = lines[i].replace(
                ":", rng.choice(["", "::", ": &a", ": *a", ": !!python/object:os.system"]), 1
            )
        elif kind == 1:
            lines.insert(i, lines[rng.randrange(len(lines))])
        elif kind == 2:
            lines[i] = "".join(rng.sample(lines[i], len(lines[i])))
        elif kind == 3:
            lines[i] = rng.choice([" ", "\t", "- ", "? "]) + lines[i]
        else:
            position = rng.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:position] + rng.choice("{}[],:#&*!|>'\"%@`\x00é\u2028") + lines[i][position:]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_damaged_suites_give_a_message_and_never_a_traceback(tmp_path, capsys):
    rng = random.Random(20261122)
    texts = [path.read_text() for path in shipped_suites().values()]
    path = tmp_path / "fuzzed.yaml"
    codes = {0: 0, 2: 0}
    for number in range(COUNT):
        text = rng.choice(texts)
        mutated = _mutated_value(yaml.safe_load(text), rng) if number % 2 else _mutated_text(text, rng)
        path.write_bytes(mutated.encode())
        code = main(["validate", str(path)])
        captured = capsys.readouterr()
        assert code in codes, (number, mutated, captured.err)
        assert "Traceback" not in captured.err
        if code == 2:
            assert "fuzzed.yaml" in captured.err, (mutated, captured.err)
            assert captured.err.count("\n") <= 22, captured.err
        codes[code] += 1
    assert codes[2] > COUNT / 3
