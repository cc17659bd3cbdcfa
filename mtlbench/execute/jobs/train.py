"""The training job: one artifact, trained and stored."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlbench.data.batches import load_split
from mtlbench.execute.jobs.cell import make_tasks, make_variant, normaliser, open_dataset
from mtlbench.measure.environment import capture
from mtlbench.measure.process import prepare
from mtlbench.training.artifact import Artifact, Named
from mtlbench.training.cache import ArtifactCache, load_weights
from mtlbench.training.loop import train
from mtlbench.training.protocol import TrainingProtocol

if TYPE_CHECKING:
    from mtlbench.execute.worker import Channel

__all__ = ["train_job"]


def train_job(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Train `job["artifact"]` from its parents, `job["parents"]` (by role `StoredArtifact.told`).

    Sends a `progress` event after every epoch.
    """
    named = Artifact.from_specification(job["artifact"])
    artifact = replace(named, problem=named.problem.placed(job["places"]["encoder"]))
    protocol = TrainingProtocol.model_validate(artifact.source.training)
    prepare(protocol.threads)
    started = time.perf_counter()
    cache = ArtifactCache(Path(job["cache_root"]))
    dataset = open_dataset(artifact.source.dataset, job["places"]["dataset"])
    tasks = make_tasks(artifact.problem)
    named_variant = Named(artifact.variant, artifact.options, job["places"]["variant"])
    variant = make_variant(named_variant, artifact.problem)
    result = train(
        variant.recipe(artifact),
        protocol,
        tasks,
        load_split(dataset, "train", tasks),
        load_split(dataset, "val", tasks),
        seed=artifact.source.seed,
        parents={
            role: load_weights(Path(p["file"]), p["weights_hash"]) for role, p in job["parents"].items()
        },
        normalise=normaliser(artifact.problem),
        checkpoint=cache.workdir(artifact.key) / "checkpoint.pt",
        progress=lambda row: channel.send("progress", **row),
    )
    stored = cache.store(
        artifact,
        result.state,
        {
            "best_epoch": result.best_epoch,
            "history": result.history,
            "started_from": result.started_from,
            "parents": {
                role: {name: value for name, value in parent.items() if name != "file"}
                for role, parent in job["parents"].items()
            },
            "seconds": time.perf_counter() - started,
            "environment": capture(),
        },
    )
    return {"weights_hash": stored.weights_hash}
