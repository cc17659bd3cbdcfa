"""A run takes weights that ship instead of training them, and says so; `--fresh` and any other key train."""

from __future__ import annotations

import re
from typing import ClassVar

import fake_workers
import pytest
import torch
from tiny import SUITE, Recorder, write_suite

from mtlbench import api, variants
from mtlbench.__main__ import main
from mtlbench.execute.versions import versioned
from mtlbench.results.folder import RunFolder
from mtlbench.training import cache as cache_module
from mtlbench.training.artifact import Artifact
from mtlbench.training.cache import ArtifactCache
from mtlbench.training.shipped import pack
from mtlbench.variants.base import Axis, Provenance
from mtlbench.variants.static_mtl import StaticMTL

BASELINE_FREE = SUITE + "baselines: []\n"


class Child(StaticMTL):
    """The static network, then a stage that no cell names, then its own."""

    name = "child"
    reference = "static_mtl"
    axes: ClassVar = (Axis("keep", (1.0, 0.5), "configure", "exact", is_budget=True),)
    provenance = Provenance("ours")

    def artifacts(self, point, source):
        (dense,) = StaticMTL(self.problem).artifacts(point, source)
        policy = Artifact("child", "policy", self.problem, source, parents={"dense": dense})
        return (Artifact("child", "joint", self.problem, source, parents={"policy": policy}),)


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """What workers are told, in a place with no weights of one's own and with a folder of weights that ship."""
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_module, "shipped_folder", lambda: tmp_path / "weights")
    monkeypatch.setitem(variants.registry._targets, "child", Child)
    return fake_workers.install(monkeypatch)


def ship(artifact, tmp_path, value):
    """Train an artifact elsewhere, and let it ship."""
    (tmp_path / "weights").mkdir(exist_ok=True)
    stored = ArtifactCache(tmp_path / "elsewhere").store(artifact, {"w": torch.full((3,), value)}, {})
    pack(stored.load(), stored.record(), label="x", suite="tiny").write(tmp_path / "weights")


def trained(jobs):
    return [job["artifact"]["stage"] for job in jobs if job["kind"] == "train"]


def origins(folder):
    return {tuple(launch["weights_from"]) for launch in RunFolder(folder).launches()}


def test_weights_that_ship_are_loaded_and_named(tmp_path, jobs):
    suite, seen = write_suite(tmp_path, BASELINE_FREE), Recorder()
    (artifact,) = api.prepare(suite).wanted()
    ship(artifact, tmp_path, 1.0)
    api.run(suite, out=tmp_path / "run", observer=seen)
    assert trained(jobs) == []
    assert seen.counts["train"] == 0
    assert seen.messages == [f"loaded, shipped: {artifact.label}"]
    assert origins(tmp_path / "run") == {("shipped",)}
    assert jobs[0]["weights"][0]["file"] == str(tmp_path / "weights" / f"{artifact.key}.safetensors")
    assert not (tmp_path / "cache" / "artifacts").exists(), "what ships is not copied"


def test_a_dry_run_says_what_ships(tmp_path, jobs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # else rows are broken up
    suite = write_suite(
        tmp_path, BASELINE_FREE.replace("[static_mtl]", "[{name: child, axes: {keep: [0.5]}}]")
    )
    joint = next(artifact for artifact in api.prepare(suite).wanted() if artifact.stage == "joint")
    ship(joint.parents["policy"], tmp_path, 1.0)
    for arguments, states, left in (
        ([], {"dense": "to train", "joint": "to train", "policy": "shipped"}, "to do: 2 trainings"),
        (["--fresh"], dict.fromkeys(("dense", "joint", "policy"), "to train"), "to do: 3 trainings"),
    ):
        assert main(["run", str(suite), "--dry-run", "--out", str(tmp_path / "run"), *arguments]) == 0
        printed = capsys.readouterr().out
        found = re.findall(r"^ \w+:(\w+) .* [0-9a-f]{8} +([a-z ]+?) *$", printed, flags=re.MULTILINE)
        assert dict(found) == states
        assert left in printed


def test_fresh_trains_what_ships_and_later_runs_keep_to_that(tmp_path, jobs):
    suite, seen = write_suite(tmp_path, BASELINE_FREE), Recorder()
    (artifact,) = api.prepare(suite).wanted()
    ship(artifact, tmp_path, 1.0)
    api.run(suite, out=tmp_path / "run", fresh=True, observer=seen)
    api.run(suite, out=tmp_path / "run", observer=seen)
    assert trained(jobs) == ["dense"]
    assert seen.messages == []
    assert origins(tmp_path / "run") == {("trained",)}


@pytest.mark.parametrize(
    "change", ["training.lr=0.01", "seeds=[1]", "datasets={name: scenes, size: [32, 32]}"]
)
def test_any_other_key_is_trained(tmp_path, jobs, change):
    suite = write_suite(tmp_path, BASELINE_FREE)
    ship(api.prepare(suite).wanted()[0], tmp_path, 1.0)
    api.run(suite, out=tmp_path / "run", overrides=[change])
    assert trained(jobs) == ["dense"]


def test_another_version_of_the_code_is_trained(tmp_path, jobs, monkeypatch):
    suite = write_suite(tmp_path, BASELINE_FREE)
    (artifact,) = api.prepare(suite).wanted()
    ship(artifact, tmp_path, 1.0)
    monkeypatch.setattr(StaticMTL, "version", StaticMTL.version + 1)
    assert versioned(artifact).key != artifact.key
    api.run(suite, out=tmp_path / "run")
    assert trained(jobs) == ["dense"]


def test_a_child_is_trained_from_the_parent_that_ships_and_its_record_says_so(tmp_path, jobs):
    suite = write_suite(
        tmp_path, BASELINE_FREE.replace("[static_mtl]", "[{name: child, axes: {keep: [0.5]}}]")
    )
    joint = next(artifact for artifact in api.prepare(suite).wanted() if artifact.stage == "joint")
    ship(joint.parents["policy"], tmp_path, 1.0)
    seen = Recorder()
    api.run(suite, out=tmp_path / "run", observer=seen)
    assert sorted(trained(jobs)) == ["dense", "joint"], "the dense network is a cell's own"
    assert seen.counts["train"] == 2
    assert seen.messages == [f"loaded, shipped: {joint.parents['policy'].label}"]
    stored = ArtifactCache().find(joint.key)
    assert torch.allclose(stored.load()["w"], torch.tensor(3.1))
    record = stored.record()["parents"]["policy"]
    assert (record["key"], record["weights_from"]) == (joint.parents["policy"].key, "shipped")
    assert set(record) == {"key", "weights_hash", "weights_from"}, "no place on this machine"
