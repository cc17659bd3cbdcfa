"""Code of another package that breaks its contract or raises: exit 2, and who, where and what."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from mtlbench import data, encoders, variants
from mtlbench.__main__ import main
from mtlbench.contracts import require_contract
from mtlbench.errors import UsageError
from mtlbench.extensions import extension_error, find_fault, origin
from mtlbench.registry import Registry

MODULE = """
from mtlbench.data.scenes import Scenes
from mtlbench.encoders.base import Encoder
from mtlbench.encoders.vit import ViT
from mtlbench.variants import Variant
from mtlbench.variants.static_mtl import StaticMTL


class Lacking(Encoder):
    name = "lacking"

    def forward(self, x):
        return [x]


class Raising(ViT):
    name = "raising"

    def __init__(self, size, **options):
        super().__init__(size, **options)
        self.table = {}["dim"]  # Raising


class Failing(ViT):
    name = "failing"

    def __init__(self, size, **options):
        raise RuntimeError("bad luck")  # Failing


class Renamed(ViT):
    name = "other"


class NoOptions(ViT):
    name = "no_options"

    def __init__(self, size):
        super().__init__(size)


class Nameless(Variant):
    def artifacts(self, point, source): ...
    def recipe(self, artifact): ...
    def build(self, point, seed, weights): ...


class Shape(StaticMTL):
    name = "shape"

    def configure(self, point, tasks=None): ...


class Refuses(StaticMTL):
    name = "refuses"

    def refuse(self, point):
        assert len(point) == 3, "point is odd"  # Refuses


class Unread(Scenes):
    name = "unread"

    def fingerprint(self):
        return [int(x) for x in ["one"]]  # Unread


def make(): ...
"""

SUITE = """
suite: tiny
datasets: {name: DATASET, size: [32, 32], train: 8, val: 2, test: 4}
tasks: [depth]
encoders: ENCODER
variants: VARIANT
training: {epochs: 1, batch: 4}
measure: {inputs: 2, launches: 1}
"""


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """Registers what MODULE holds, and answers with its path."""
    file = tmp_path / "faulty_extension.py"
    file.write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "faulty_extension", raising=False)
    for registry, names in (
        (encoders.registry, ("Lacking", "Raising", "Failing", "Renamed", "NoOptions", "make", "absent")),
        (variants.registry, ("Nameless", "Shape", "Refuses")),
        (data.registry, ("Unread",)),
    ):
        installed = {"no_options" if n == "NoOptions" else n.lower(): f"faulty_extension:{n}" for n in names}
        monkeypatch.setattr(registry, "_installed", installed)
        monkeypatch.setattr(registry, "_targets", dict(registry._targets))
    return file


def outcome(folder: Path, capsys, *command: str, **parts: str) -> str:
    text = SUITE
    for key, default in (
        ("DATASET", "scenes"),
        ("ENCODER", "{name: vit, arch: nano}"),
        ("VARIANT", "static_mtl"),
    ):
        text = text.replace(key, parts.get(key.lower(), default))
    suite = folder / "tiny.yaml"
    suite.write_text(text)
    assert main([*command[:1], str(suite), *command[1:]]) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize(
    ("part", "name", "words"),
    [
        (
            "encoder",
            "lacking",
            ["Lacking (", "faulty_extension.py:9) lacks units", "mtlbench/encoders/base.py"],
        ),
        ("encoder", "renamed", ["Renamed", "calls itself 'other'"]),
        ("encoder", "no_options", ["NoOptions", "has __init__(self, size), which must take", "'weights'"]),
        ("encoder", "make", ["the function faulty_extension.make, which is no component"]),
        ("encoder", "absent", ["cannot be loaded", "has no attribute 'absent'"]),
        ("variant", "nameless", ["lacks configure", "class attributes family, provenance, name"]),
        (
            "variant",
            "shape",
            ["has configure(self, point, tasks=None)", "unexpected keyword argument 'mode'"],
        ),
    ],
)
def test_a_class_that_breaks_its_contract_is_refused_by_validate(faulty, tmp_path, capsys, part, name, words):
    told = outcome(tmp_path, capsys, "validate", **{part: name})
    assert f"tiny.yaml:{5 if part == 'encoder' else 6}:" in told
    for word in words:
        assert word in told


@pytest.mark.parametrize(
    ("part", "name", "who", "text"),
    [
        ("encoder", "raising", "Raising.__init__", "KeyError: 'dim'"),
        ("encoder", "failing", "Failing.__init__", "RuntimeError: bad luck"),
        ("variant", "refuses", "Refuses.refuse", "AssertionError: point is odd"),
        ("dataset", "unread", "Unread.fingerprint", "ValueError: invalid literal"),
    ],
)
def test_a_method_that_raises_is_named_with_its_line(faulty, tmp_path, capsys, part, name, who, text):
    told = outcome(tmp_path, capsys, "run", "--dry-run", "--out", str(tmp_path / "run"), **{part: name})
    line = next(i for i, words in enumerate(MODULE.splitlines(), 1) if words.endswith(f"# {name.title()}"))
    assert f"{faulty}:{line}: {who} raised {text}" in told


def test_a_module_that_fails_when_imported_is_named_with_its_line(faulty, tmp_path, capsys):
    faulty.write_text("import math\nnumber = math.sqrt(-1)\n")
    assert re.search(
        r"'lacking' cannot be loaded .*ValueError: .* at .*faulty_extension\.py:2\.",
        outcome(tmp_path, capsys, "validate", encoder="lacking"),
    )
    sys.modules.pop("faulty_extension", None)
    faulty.write_text("x = 1\ny = = 2\n")
    assert "faulty_extension.py:2" in outcome(tmp_path, capsys, "validate", encoder="lacking")


def test_a_fault_of_mtlbench_itself_is_nobody_elses():
    with pytest.raises(TypeError) as caught:
        require_contract("encoder")
    assert find_fault(caught.value) is None
    assert extension_error(caught.value) is None


@pytest.mark.parametrize(
    "registry", [data.registry, encoders.registry, variants.registry], ids=lambda registry: registry.kind
)
def test_what_comes_with_mtlbench_would_pass_the_same_checks(registry: Registry):
    for name in registry.names():
        require_contract(registry.kind, name, registry.get(name))


def test_the_origin_of_a_class_follows_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for text in ("class Mine: ...", "class Mine: ...", "class Mine: x = 1"):
        (tmp_path / "their_module.py").write_text(text)
        monkeypatch.delitem(sys.modules, "their_module", raising=False)
        importlib.invalidate_caches()
        found.append(origin(importlib.import_module("their_module").Mine))
    assert found[0] == found[1] != found[2]
    assert found[0].startswith("source ")
    assert origin(encoders.registry.get("vit")) is None


def test_an_object_that_breaks_its_contract_is_refused_when_it_is_added():
    class Nothing:
        __module__ = "elsewhere"

    with pytest.raises(UsageError, match="no component"):
        Registry("variant", "nowhere").add("nothing", Nothing)
