"""Where trained weights are found: in the user's cache, shared by all runs, or among those that ship with mtlbench.

The cache has one folder per artifact, complete or not there at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtlbench.errors import MtlbenchError
from mtlbench.locks import file_lock
from mtlbench.training.shipped import shipped_folder

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.artifact import Artifact

__all__ = ["ArtifactCache", "StoredArtifact", "WeightsFrom", "cache_root", "load_weights"]

WeightsFrom = Literal["trained", "shipped"]
"""Whether weights were trained by this user, or came with mtlbench."""

_WEIGHTS = "weights.safetensors"
_RECORD = "artifact.json"


def cache_root() -> Path:
    """`MTLBENCH_CACHE`, or `mtlbench` in the user's cache folder."""
    named = os.environ.get("MTLBENCH_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mtlbench"


@dataclass(frozen=True)
class StoredArtifact:
    """Trained weights on disk.

    Args:
        key: the artifact's key.
        file: the weights.
        record_file: what is known about their training.
        weights_hash: SHA-256 of the weights file: what tells two trainings of one specification apart.
        weights_from: who trained them.
    """

    key: str
    file: Path
    record_file: Path
    weights_hash: str
    weights_from: WeightsFrom = "trained"

    def load(self) -> dict[str, Tensor]:
        """The state dict; see `load_weights`."""
        return load_weights(self.file, self.weights_hash)

    def told(self) -> dict[str, str]:
        """What a worker is told of it."""
        origin = {"weights_hash": self.weights_hash, "weights_from": self.weights_from}
        return {"key": self.key, "file": str(self.file), **origin}

    def record(self) -> dict[str, Any]:
        """What is known about the training: specification, history, seconds, environment."""
        record: dict[str, Any] = json.loads(self.record_file.read_text())
        return record


def load_weights(file: Path, weights_hash: str) -> dict[str, Tensor]:
    """The state dict of a weights file; what is kept in half precision comes as fp32.

    Raises:
        MtlbenchError: the file was changed since it was written.
    """
    import torch
    from safetensors.torch import load

    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != weights_hash:
        raise MtlbenchError(
            "weights do not match their recorded hash",
            where=str(file),
            fix="Restore this file, or delete it: the artifact is then trained again",
        )
    state: dict[str, Tensor] = load(content)
    return {name: part.float() if part.dtype == torch.float16 else part for name, part in state.items()}


class ArtifactCache:
    """Artifacts of a user under one root folder, and those that ship with mtlbench, which it only reads.

    Args:
        root: the user's; by default `cache_root`.
        shipped: where weights that ship lie; by default those of this mtlbench.
    """

    def __init__(self, root: Path | None = None, shipped: Path | None = None) -> None:
        self.root = (root or cache_root()) / "artifacts"
        self._shipped = shipped or shipped_folder()
        self._forgotten: set[str] = set()

    def find(self, key: str) -> StoredArtifact | None:
        """The artifact that the user trained, else the one that ships, else None."""
        trained = self.find_trained(key)
        return trained if trained or key in self._forgotten else self._find_shipped(key)

    def find_trained(self, key: str) -> StoredArtifact | None:
        """The artifact that the user trained, or None."""
        folder = self.root / key
        return _stored(key, folder / _WEIGHTS, folder / _RECORD, "trained")

    def _find_shipped(self, key: str) -> StoredArtifact | None:
        file = self._shipped / f"{key}.safetensors"
        return _stored(key, file, file.with_suffix(".json"), "shipped")

    def workdir(self, key: str) -> Path:
        """Folder for checkpoints of a training in progress; kept across interruptions."""
        folder = self.root / f"{key}.partial"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def store(
        self, artifact: Artifact, state: Mapping[str, Tensor], record: Mapping[str, Any]
    ) -> StoredArtifact:
        """Write weights and record, then publish both with one rename."""
        from safetensors.torch import save

        folder = self.workdir(artifact.key)
        content = save({name: tensor.contiguous().cpu() for name, tensor in state.items()})
        weights_hash = hashlib.sha256(content).hexdigest()
        for leftover in folder.iterdir():
            leftover.unlink()
        (folder / _WEIGHTS).write_bytes(content)
        full = {
            "key": artifact.key,
            "specification": artifact.specification(),
            "weights_sha256": weights_hash,
        }
        (folder / _RECORD).write_text(json.dumps(full | dict(record), indent=1))
        shutil.rmtree(self.root / artifact.key, ignore_errors=True)
        os.replace(folder, self.root / artifact.key)
        stored = self.root / artifact.key
        return StoredArtifact(artifact.key, stored / _WEIGHTS, stored / _RECORD, weights_hash)

    def forget(self, key: str) -> None:
        """Remove a stored artifact and the checkpoint of an unfinished one, if they are there.

        One that ships stays where it is, but this cache finds it no more.
        """
        self._forgotten.add(key)
        with self.training(key):
            for folder in (self.root / key, self.root / f"{key}.partial"):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def training(
        self,
        key: str,
        on_wait: Callable[[str], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[int]:
        """Held while an artifact is trained, so that two runs never train the same one at once.

        Arguments and what is yielded are those of `file_lock`.
        """
        with file_lock(self.root / f"{key}.lock", on_wait=on_wait, check=check) as descriptor:
            yield descriptor


def _stored(key: str, file: Path, record_file: Path, weights_from: WeightsFrom) -> StoredArtifact | None:
    try:
        record = json.loads(record_file.read_text())
    except FileNotFoundError:
        return None
    if not file.exists():
        return None
    return StoredArtifact(key, file, record_file, record["weights_sha256"], weights_from)
