"""Weights that ship: what is rounded and what is kept, which of two is found, what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.hashing import digest
from mtlbench.training import shipped
from mtlbench.training.artifact import Artifact, Named, Problem, Source
from mtlbench.training.cache import ArtifactCache
from mtlbench.training.shipped import MAX_BYTES, pack, remove_stale, shipped_folder

PROBLEM = Problem((32, 32), Named("vit"), Named("multiscale"), (Named("depth"),))
ARTIFACT = Artifact("static_mtl", "dense", PROBLEM, Source(Named("scenes"), "data", {"epochs": 1}, 0))
RECORD = {"key": ARTIFACT.key, "specification": ARTIFACT.specification(), "weights_sha256": "w"}
STATE = {
    "w": torch.linspace(-3, 3, 7).reshape(7, 1).T,
    "scalar": torch.tensor(0.1),
    "count": torch.tensor(70_000),
    "mask": torch.tensor([True, False]),
    "exact": torch.tensor([0.1], dtype=torch.float64),
    "none": torch.zeros(0),
}


def ship(folder, state=STATE, **record):
    folder.mkdir(exist_ok=True)
    packed = pack(state, RECORD | record, label="static", suite="small")
    packed.write(folder)
    return packed


def test_fp32_is_rounded_to_half_and_comes_back_as_fp32(tmp_path):
    packed = ship(tmp_path / "weights")
    found = ArtifactCache(tmp_path / "cache", tmp_path / "weights").find(ARTIFACT.key)
    loaded = found.load()
    for name, tensor in STATE.items():
        expected = tensor.half().float() if tensor.dtype == torch.float32 else tensor
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], expected)
    worst = max(
        float((STATE[n].half().double() - STATE[n].double()).abs().max()) / m
        for n, m in (("w", 3), ("scalar", 0.1))
    )
    assert packed.record["rounding"] == pytest.approx(worst, rel=1e-3)
    assert 0 < worst <= 2**-11
    assert found.record()["precision"] == "fp16"
    assert digest(found.record()["specification"], 20) == ARTIFACT.key


@given(st.lists(st.floats(-60000, 60000, width=32), min_size=1, max_size=8))
def test_the_rounding_error_is_at_most_half_a_step_of_the_largest_value(values):
    packed = pack({"w": torch.tensor(values)}, RECORD, label="x", suite="s")
    largest = max(map(abs, values))
    step = max(largest * 2**-11, 2**-25)
    assert packed.record["rounding"] * largest <= step * 1.0001


def test_packing_what_is_in_half_precision_already_changes_nothing(tmp_path):
    packed = ship(tmp_path)
    again = pack(ArtifactCache(tmp_path, tmp_path).find(ARTIFACT.key).load(), RECORD, label="x", suite="s")
    assert again.content == packed.content
    assert again.record["rounding"] == 0


def test_infinity_is_kept_and_an_overflow_is_refused():
    assert (
        pack({"w": torch.tensor([float("inf"), 1.0])}, RECORD, label="x", suite="s").record["rounding"] == 0
    )
    with pytest.raises(UsageError, match="big of the net holds 100000, which half precision cannot"):
        pack({"big": torch.tensor([1e5, 1.0])}, RECORD, label="the net", suite="s")


def test_the_record_is_short_and_of_no_machine():
    history = [{"epoch": float(epoch), "loss": 1 / epoch} for epoch in range(1, 6)]
    environment = {"torch": "2", "host_hash": "h", "machine_hash": "m", "cpu_model": "c", "kernel": "k"}
    more = {"history": history, "best_epoch": 2, "environment": environment, "seconds": 3.0}
    record = pack(STATE, RECORD | more, label="static", suite="small").record
    assert [row["epoch"] for row in record["history"]] == [2, 5]
    assert record["environment"] == {"torch": "2"}
    assert (record["suite"], record["seconds"], record["rounded_from_sha256"]) == ("small", 3.0, "w")


def test_the_users_own_go_first_and_what_is_forgotten_is_not_replaced_by_what_ships(tmp_path):
    ship(tmp_path / "weights")
    cache = ArtifactCache(tmp_path / "cache", tmp_path / "weights")
    assert cache.find(ARTIFACT.key).weights_from == "shipped"
    assert cache.find_trained(ARTIFACT.key) is None
    assert cache.find("another key") is None
    own = cache.store(ARTIFACT, {"w": torch.ones(1)}, {})
    assert cache.find(ARTIFACT.key) == own
    assert own.weights_from == "trained"
    cache.forget(ARTIFACT.key)
    assert cache.find(ARTIFACT.key) is None
    assert len(list((tmp_path / "weights").iterdir())) == 2, "what ships is only read"


def test_a_changed_file_is_refused_and_half_a_pair_is_none(tmp_path):
    ship(tmp_path)
    file = tmp_path / f"{ARTIFACT.key}.safetensors"
    found = ArtifactCache(tmp_path, tmp_path).find(ARTIFACT.key)
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(MtlbenchError, match="recorded hash"):
        found.load()
    file.unlink()
    assert ArtifactCache(tmp_path, tmp_path).find(ARTIFACT.key) is None


def test_a_folder_that_is_not_there_ships_nothing(tmp_path):
    assert ArtifactCache(tmp_path, tmp_path / "nowhere").find(ARTIFACT.key) is None


def test_only_what_was_made_for_the_suite_is_removed(tmp_path):
    for key, suite in (("mine", "small"), ("old", "small"), ("other", "large")):
        pack({}, RECORD | {"key": key}, label=key, suite=suite).write(tmp_path)
    (tmp_path / "foreign.safetensors").touch()
    assert remove_stale(tmp_path, "small", {"mine"}) == ["old (old)"]
    left = {
        "foreign.safetensors",
        *(f"{key}.{kind}" for key in ("mine", "other") for kind in ("json", "safetensors")),
    }
    assert {file.name for file in tmp_path.iterdir()} == left


def test_where_they_lie_in_a_package_in_a_checkout_and_in_neither(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "mtlbench" / "training" / "shipped.py"))
    (tmp_path / "weights").mkdir()
    inside = tmp_path / "mtlbench" / "weights"
    assert shipped_folder() == inside, "a folder beside an installed package belongs to somebody else"
    (tmp_path / "pyproject.toml").touch()
    assert shipped_folder() == tmp_path / "weights"
    inside.mkdir(parents=True)
    assert shipped_folder() == inside


def test_what_this_mtlbench_ships_is_whole():
    folder = shipped_folder()
    assert (folder / "README.md").is_file()
    files = {file.stem for file in folder.glob("*.safetensors")}
    assert files == {file.stem for file in folder.glob("*.json")}
    for key in files:
        content = (folder / f"{key}.safetensors").read_bytes()
        record = json.loads(Path(folder / f"{key}.json").read_text())
        assert len(content) <= MAX_BYTES
        assert hashlib.sha256(content).hexdigest() == record["weights_sha256"]
        assert digest(record["specification"], 20) == record["key"] == key
