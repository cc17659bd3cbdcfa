"""Reading a weights file: safetensors, or what `torch.load` reads without running any code."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtlbench.errors import DataError

__all__ = ["Checkpoint", "read_checkpoint"]

# Entries under which training scripts keep the weights, beside optimizer and epoch.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network")
_NO_PICKLE = "its bytes are no pickle of tensors"
_FIX = "Give a file with a state dictionary: safetensors, or saved by torch.save(model.state_dict(), FILE)"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file.

    Args:
        path: the file.
        tensors: by key, on the CPU; all floating-point ones are float32.
        notes: what was done to get them.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a file, out of their wrappers and as float32.

    Raises:
        DataError: the file is damaged, is of another format, holds something else than tensors, or could only be
            read by running code that it brings along.
    """
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    content, notes = _unwrapped(content)
    tensors = _checked(path, content)
    narrow = {str(v.dtype).removeprefix("torch.") for v in tensors.values() if _needs_float32(v)}
    if narrow:
        notes.append(f"converted from {', '.join(sorted(narrow))} to float32")
    return Checkpoint(
        path, {k: v.float() if _needs_float32(v) else v for k, v in tensors.items()}, tuple(notes)
    )


def _needs_float32(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32


def _is_safetensors(path: Path) -> bool:
    """By content: eight bytes of length, then the brace of a JSON header."""
    if path.suffix == ".safetensors":
        return True
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise DataError(
            f"the safetensors file cannot be read: {error}", where=str(path), fix="Download it again"
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):  # what it warns of becomes an error below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needed = re.search(r"GLOBAL (\S+)", str(error))
        if needed is None:
            raise _unreadable(path, _NO_PICKLE) from error
        raise DataError(
            f"reading this file means running code ({needed[1]}), which mtlbench never does",
            where=str(path),
            fix="On a machine where you trust the file, save the weights alone: torch.save(state_dict, FILE)",
        ) from error
    except Exception as error:  # torch raises whatever damaged bytes lead its parsers to
        if "TorchScript" in str(error):
            raise _unreadable(path, "it is a TorchScript program") from error
        said = str(error).strip().split("\n")[0][:200]  # only what torch means to say is a sentence
        raise _unreadable(path, said if isinstance(error, RuntimeError) else _NO_PICKLE) from error


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(f"this is no weights file, or a damaged one: {reason}", where=str(path), fix=_FIX)


def _unwrapped(content: Any) -> tuple[Any, list[str]]:
    """The innermost state dictionary, and what was passed over on the way."""
    notes = []
    while isinstance(content, Mapping):
        entry = next((name for name in _WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if entry is None:
            break
        others = ", ".join(sorted(str(key) for key in content if key != entry))
        notes.append(f"taken from the entry {entry!r}" + (f"; beside it: {others}" if others else ""))
        content = content[entry]
    return content, notes


def _checked(path: Path, content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        found = "an empty dictionary" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise DataError(f"the file holds {found}, no weights", where=str(path), fix=_FIX)
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            what = f"the file is no dictionary of tensors: {key!r} is a {type(value).__name__}"
            raise DataError(what, where=str(path), fix=_FIX)
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            what = f"{key!r} is a sparse, quantised or complex tensor"
            raise DataError(what, where=str(path), fix="Save the weights as plain float tensors")
    return {key: value.detach() for key, value in content.items()}
