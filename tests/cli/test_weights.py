"""`mtlbench weights`: what it writes, what it refuses, what it removes; and that every command is documented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mtlbench import api
from mtlbench.__main__ import main
from mtlbench.cli.app import app
from mtlbench.training import shipped
from mtlbench.training.cache import ArtifactCache

ROOT = Path(__file__).parents[2]
SUITE = """
suite: two
datasets: {name: scenes, size: [32, 32]}
tasks: [[semseg, depth]]
encoders: {name: vit, arch: nano, patch: 16}
variants: [static_mtl]
training: {epochs: 1}
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite of three artifacts (single-task baselines too), its cache and its working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "two.yaml"
    path.write_text(SUITE)
    return str(path)


def train(suite, value=0.1):
    """As if the suite had run."""
    artifacts = api.prepare(suite).wanted()
    for artifact in artifacts:
        ArtifactCache().store(artifact, {"w": torch.full((5,), value)}, {"seconds": 1.0})
    return artifacts


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


def test_it_writes_each_artifact_in_half_precision_and_says_what_that_costs(suite, capsys):
    artifacts = train(suite)
    assert main(["weights", suite]) == 0
    printed = capsys.readouterr().out
    assert names("weights") == {f"{a.key}.{kind}" for a in artifacts for kind in ("safetensors", "json")}
    error = abs(float(torch.tensor(0.1).half()) - 0.1) / 0.1
    assert printed.count(f"{error:.1e}") == len(artifacts) == 3
    for artifact in artifacts:
        assert artifact.key in printed
        record = json.loads(Path("weights", f"{artifact.key}.json").read_text())
        assert (record["suite"], record["label"]) == ("two", artifact.label)
        found = ArtifactCache(Path("empty"), Path("weights")).find(artifact.key)
        assert torch.equal(found.load()["w"], torch.full((5,), 0.1).half().float())


def test_what_is_not_trained_is_named_with_advice_and_nothing_is_written(suite, capsys):
    assert main(["weights", suite]) == 2
    told = capsys.readouterr().err
    assert "not trained yet: static_mtl:dense semseg, vit-nano" in told
    assert f"mtlbench run {suite}" in told
    assert not Path("weights").exists()


def test_only_takes_the_cells_that_match_without_what_they_are_compared_to(suite):
    artifacts = train(suite)
    assert main(["weights", suite, "--only", "static_mtl", "--out", "a"]) == 0
    whole = next(a for a in artifacts if len(a.problem.tasks) == 2)
    assert names("a") == {f"{whole.key}.safetensors", f"{whole.key}.json"}
    assert main(["weights", suite, "--only", "static_mtl", "--only", "single_task", "--out", "b"]) == 0
    assert len(names("b")) == 6


def test_a_pattern_that_matches_nothing_and_a_suite_that_trains_nothing_are_refused(suite, capsys):
    assert main(["weights", suite, "--only", "nonesuch"]) == 2
    assert "'nonesuch' matches no cell" in capsys.readouterr().err
    Path(suite).write_text(SUITE.replace("{epochs: 1}", "random"))
    assert main(["weights", suite]) == 2
    assert "no trained weights" in capsys.readouterr().err


def test_what_is_too_large_is_refused_by_name_and_size_and_nothing_is_written(suite, capsys, monkeypatch):
    artifacts = train(suite)
    large = torch.zeros(2**20)
    ArtifactCache().store(artifacts[0], {"w": large}, {})
    monkeypatch.setattr(shipped, "MAX_BYTES", 2**20)
    assert main(["weights", suite]) == 2
    told = capsys.readouterr().err
    assert f"{artifacts[0].label}: 2.00 MiB" in told
    assert artifacts[1].label not in told
    assert not Path("weights").exists()


def test_what_no_longer_belongs_to_the_suite_is_removed_and_the_rest_stays(suite, capsys):
    old = train(suite)
    assert main(["weights", suite]) == 0
    Path("weights", "README.md").touch()
    Path(suite).write_text(SUITE.replace("epochs: 1", "epochs: 2"))
    new = train(suite)
    assert main(["weights", suite, "--only", "single_task"]) == 0
    assert capsys.readouterr().out.count("removed: ") == len(old)
    kept = {a.key for a in new if len(a.problem.tasks) == 1}
    assert names("weights") == {
        "README.md",
        *(f"{k}.{kind}" for k in kept for kind in ("safetensors", "json")),
    }
    assert main(["weights", suite, "--only", "static_mtl"]) == 0
    assert len(names("weights")) == 1 + 2 * len(new), "what --only leaves out still belongs to the suite"


def test_every_command_is_in_the_documentation():
    page = (ROOT / "docs/command-line.md").read_text()
    for command in app.registered_commands:
        assert f"| `mtlbench {command.name or command.callback.__name__} " in page
