from __future__ import annotations

import os
import pickle
import time
import warnings

import pytest
import torch
from safetensors.torch import save_file

from mtlbench.encoders.weights import find_file, read_checkpoint, sha256_of
from mtlbench.errors import DataError

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.steps": torch.tensor(3)}


def saved(folder, content, name="file.pth"):
    torch.save(content, folder / name)
    return folder / name


def same(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[k], expected[k]) for k in expected)


@pytest.mark.parametrize("name", ["file.safetensors", "file.bin"])
def test_safetensors_are_known_by_content(tmp_path, name):
    save_file(STATE, tmp_path / name)
    assert same(read_checkpoint(tmp_path / name).tensors, STATE)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_save(tmp_path, zipped):
    torch.save(STATE, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "file.pth")
    assert same(found.tensors, STATE)
    assert found.notes == ()


@pytest.mark.parametrize(
    "wrapped", [{"state_dict": STATE, "epoch": 3}, {"model": {"model_state": STATE}, "lr": 0.1}]
)
def test_wrappers_are_taken_off_and_named(tmp_path, wrapped):
    found = read_checkpoint(saved(tmp_path, wrapped))
    assert same(found.tensors, STATE)
    assert any("epoch" in note or "lr" in note for note in found.notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32_and_that_is_said(tmp_path, dtype):
    found = read_checkpoint(
        saved(tmp_path, {"w": torch.tensor([0.5, -2.0], dtype=dtype), "n": torch.tensor(7)})
    )
    assert same(found.tensors, {"w": torch.tensor([0.5, -2.0]), "n": torch.tensor(7)})
    assert found.notes == (f"converted from {str(dtype).removeprefix('torch.')} to float32",)


def test_parameters_are_plain_tensors_without_gradient(tmp_path):
    found = read_checkpoint(saved(tmp_path, {"w": torch.nn.Parameter(torch.ones(2))}))
    assert not found.tensors["w"].requires_grad


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, zipped):
    content = {"state_dict": STATE, "bomb": Bomb(tmp_path / "exploded")}
    torch.save(content, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="running code") as caught:
        read_checkpoint(tmp_path / "file.pth")
    assert "save the weights alone" in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_a_whole_pickled_model_is_refused(tmp_path):
    with pytest.raises(DataError, match="running code"):
        read_checkpoint(saved(tmp_path, torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("name", ["file.safetensors", "file.pth", "old.pth"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, name, share):
    path, big = tmp_path / name, {"w": torch.rand(1000), "v": torch.rand(1000)}
    if name == "file.safetensors":
        save_file(big, path)
    else:
        torch.save(big, path, _use_new_zipfile_serialization=name == "file.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError) as caught:
        read_checkpoint(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "content", [b"not weights at all", b"<html>404</html>", b"\x00" * 64, b"PK\x03\x04 broken zip"]
)
def test_other_formats_are_refused(tmp_path, content):
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no weights file, or a damaged one"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "an empty dictionary"),
        ([torch.ones(2)], "a list"),
        (torch.ones(2), "a Tensor"),
        ({"w": torch.ones(2), "epoch": 3}, "'epoch' is a int"),
        ({3: torch.ones(2)}, "no dictionary of tensors"),
        ({"state_dict": {}}, "an empty dictionary"),
        ({"w": torch.ones(2, dtype=torch.complex64)}, "complex"),
        ({"w": torch.eye(3).to_sparse()}, "sparse"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_checkpoint(saved(tmp_path, content))


def test_torchscript_is_refused(tmp_path):
    linear = torch.nn.Linear(2, 2)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.trace(linear, torch.ones(1, 2)).save(tmp_path / "file.pt")
    with pytest.raises(DataError, match="TorchScript"):
        read_checkpoint(tmp_path / "file.pt")


def test_plain_pickles_are_refused(tmp_path):
    (tmp_path / "file.pkl").write_bytes(pickle.dumps({"w": [1.0]}))
    with pytest.raises(DataError):
        read_checkpoint(tmp_path / "file.pkl")


def test_relative_paths_mean_the_data_root_and_then_here(tmp_path, monkeypatch):
    data, here = tmp_path / "data", tmp_path / "here"
    for folder in (data, here):
        folder.mkdir()
        (folder / "both").write_text(folder.name)
    (here / "local").write_text("")
    monkeypatch.chdir(here)
    monkeypatch.setenv("MTLBENCH_DATA", str(data))
    assert find_file("both") == data / "both"
    assert find_file("local") == here / "local"
    assert find_file(str(here / "both")) == here / "both"
    with pytest.raises(DataError) as caught:
        find_file("neither")
    assert str(data / "neither") in str(caught.value)
    assert str(here / "neither") in str(caught.value)
    monkeypatch.delenv("MTLBENCH_DATA")
    with pytest.raises(DataError, match="MTLBENCH_DATA is not set"):
        find_file("neither")


def test_the_hash_follows_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    time.sleep(0.01)
    path.write_bytes(b"abd")
    assert sha256_of(path) != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
