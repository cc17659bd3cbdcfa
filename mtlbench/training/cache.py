"""The artifact cache, shared by all runs of a user: one folder per artifact, complete or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlbench.errors import MtlbenchError
from mtlbench.locks import file_lock

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.artifact import Artifact

__all__ = ["ArtifactCache", "StoredArtifact", "cache_root"]

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
        folder: where weights and record lie.
        weights_hash: SHA-256 of the weights file: what tells two trainings of one specification apart.
    """

    key: str
    folder: Path
    weights_hash: str

    def load(self) -> dict[str, Tensor]:
        """The state dict.

        Raises:
            MtlbenchError: the file was changed since it was written.
        """
        from safetensors.torch import load

        content = (self.folder / _WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.weights_hash:
            raise MtlbenchError(
                "weights do not match their recorded hash",
                where=str(self.folder / _WEIGHTS),
                fix="Delete this folder; the artifact is then trained again",
            )
        state: dict[str, Tensor] = load(content)
        return state

    def record(self) -> dict[str, Any]:
        """What is known about the training: specification, history, seconds, environment."""
        record: dict[str, Any] = json.loads((self.folder / _RECORD).read_text())
        return record


class ArtifactCache:
    """Artifacts under one root folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_root()) / "artifacts"

    def find(self, key: str) -> StoredArtifact | None:
        """The stored artifact, or None."""
        folder = self.root / key
        try:
            record = json.loads((folder / _RECORD).read_text())
        except FileNotFoundError:
            return None
        return StoredArtifact(key, folder, record["weights_sha256"])

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
        return StoredArtifact(artifact.key, self.root / artifact.key, weights_hash)

    def forget(self, key: str) -> None:
        """Remove a stored artifact and the checkpoint of an unfinished one, if they are there."""
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
