"""Artifacts: identity, order, storage."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mtlbench.errors import MtlbenchError
from mtlbench.execute.versions import versioned
from mtlbench.training.artifact import Artifact, Named, Problem, Source, in_training_order
from mtlbench.training.cache import ArtifactCache
from mtlbench.variants.static_mtl import StaticMTL

PROBLEM = Problem((32, 32), Named("vit"), Named("multiscale"), (Named("depth"), Named("edge")))
SOURCE = Source(Named("scenes"), "data", {"epochs": 1}, 0, {"task:depth": 1, "task:edge": 1, "training": 1})
ARTIFACT = Artifact("static_mtl", "dense", PROBLEM, SOURCE)


def test_the_key_is_of_all_that_shapes_the_weights():
    others = [
        replace(ARTIFACT, stage="policy"),
        replace(ARTIFACT, options={"keep": 0.5}),
        replace(ARTIFACT, parents={"start": ARTIFACT}),
        replace(ARTIFACT, source=replace(SOURCE, seed=1)),
        replace(ARTIFACT, source=replace(SOURCE, data_hash="other")),
        replace(ARTIFACT, source=replace(SOURCE, code_version={**SOURCE.code_version, "training": 2})),
        replace(ARTIFACT, problem=PROBLEM.only("depth")),
    ]
    assert len({ARTIFACT.key, *(other.key for other in others)}) == len(others) + 1


def test_each_artifact_has_the_versions_of_what_shapes_it(monkeypatch):
    whole = versioned(replace(ARTIFACT, parents={"start": replace(ARTIFACT, problem=PROBLEM.only("depth"))}))
    own, parents = (a.source.code_version for a in (whole, whole.parents["start"]))
    assert {"variant:static_mtl", "task:edge", "task:depth", "dataset:scenes", "training"} <= own.keys()
    assert "task:edge" not in parents
    monkeypatch.setattr(StaticMTL, "version", 2)
    assert versioned(whole).key != whole.key


def test_places_do_not_shape_it():
    elsewhere = replace(SOURCE, dataset=Named("scenes", places={"root": "/elsewhere"}))
    assert replace(ARTIFACT, source=elsewhere).key == ARTIFACT.key


def test_it_survives_the_way_to_a_worker():
    child = replace(ARTIFACT, stage="policy", parents={"start": ARTIFACT})
    assert Artifact.from_specification(child.specification()).key == child.key


def test_parents_are_trained_first_and_once():
    child = replace(ARTIFACT, stage="a", parents={"start": ARTIFACT})
    other = replace(ARTIFACT, stage="b", parents={"x": child, "y": ARTIFACT})
    assert [a.stage for a in in_training_order([other, child, ARTIFACT])] == ["dense", "a", "b"]


def test_ancestors_of_what_is_there_are_not_needed():
    child = replace(ARTIFACT, stage="a", parents={"start": ARTIFACT})
    assert in_training_order([child], lambda a: a.stage == "a") == []
    assert [a.stage for a in in_training_order([child], lambda a: a.stage == "dense")] == ["a"]


def test_what_is_stored_is_found_and_checked(tmp_path):
    cache = ArtifactCache(tmp_path)
    assert cache.find(ARTIFACT.key) is None
    (cache.workdir(ARTIFACT.key) / "checkpoint.pt").write_bytes(b"in progress")
    state = {"w": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    stored = cache.store(ARTIFACT, state, {"best_epoch": 1})
    found = cache.find(ARTIFACT.key)
    assert found == stored
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.load().items())
    assert found.record()["specification"] == ARTIFACT.specification()
    assert sorted(path.name for path in found.file.parent.iterdir()) == [
        "artifact.json",
        "weights.safetensors",
    ]
    content = found.file.read_bytes()
    found.file.write_bytes(content[:-1] + b"\x01")
    with pytest.raises(MtlbenchError, match="recorded hash"):
        found.load()
    (cache.workdir(ARTIFACT.key) / "checkpoint.pt").write_bytes(b"in progress")
    cache.forget(ARTIFACT.key)
    assert cache.find(ARTIFACT.key) is None
    assert list(cache.workdir(ARTIFACT.key).iterdir()) == []


def test_equal_weights_have_equal_hashes(tmp_path):
    cache = ArtifactCache(tmp_path)
    first = cache.store(ARTIFACT, {"a": torch.ones(2), "b": torch.zeros(3)}, {})
    second = cache.store(ARTIFACT, {"b": torch.zeros(3), "a": torch.ones(2)}, {})
    assert first.weights_hash == second.weights_hash
