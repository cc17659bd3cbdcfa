"""The training loop: seeded, resumable, the same for every variant's recipe."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlbench.data.batches import Augmentation, LoadedSplit, epoch_batches, eval_batches
from mtlbench.encoders.base import Encoder
from mtlbench.encoders.weights import describe
from mtlbench.errors import TrainingError
from mtlbench.tasks.base import Task
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.training.selection import primary_values, score, validate
from mtlbench.training.weighting import make_weighting

__all__ = ["TrainingResult", "train"]

State = Mapping[str, Tensor]
Progress = Callable[[dict[str, Any]], None]


@dataclass
class TrainingResult:
    """What training gave.

    Args:
        state: weights of the best validated epoch (of the last one where there is no validation split).
        best_epoch: its number, from 1; 0 where the recipe had nothing to train.
        history: one row per epoch: `epoch, loss, lr`, and `val.<task>.<metric>` where validated.
        started_from: what became of published weights that encoders started from, as text; empty for random weights.
    """

    state: dict[str, Tensor]
    best_epoch: int
    history: list[dict[str, float]] = field(default_factory=list)
    started_from: list[str] = field(default_factory=list)


def train(
    recipe: Recipe,
    protocol: TrainingProtocol,
    tasks: Mapping[str, Task],
    train_split: LoadedSplit,
    val_split: LoadedSplit,
    *,
    seed: int,
    parents: Mapping[str, State],
    normalise: Callable[..., Tensor],
    checkpoint: Path | None = None,
    progress: Progress = lambda _: None,
) -> TrainingResult:
    """Train one artifact.

    Args:
        recipe: network and losses.
        protocol: the settings.
        tasks: by name, in order.
        train_split: what is trained on.
        val_split: what the best epoch is chosen on; may be empty.
        seed: of initialisation, order and augmentation.
        parents: states of the artifact's parents, by role.
        normalise: uint8 images [B, H, W, 3] to network input.
        checkpoint: file to resume from and to write after every epoch.
        progress: called after every epoch with that epoch's history row.

    Raises:
        TrainingError: a loss is not finite; names the step and the task.
    """
    torch.manual_seed(seed)

    def validation() -> Iterator[Tensor]:
        return (normalise(images) for images, _ in eval_batches(val_split, batch))

    batch, staged = protocol.batch, recipe.protocol(protocol)
    if staged is None:
        network = recipe.network(parents, seed).eval()
        recipe.finish(network, validation)
        return TrainingResult(dict(network.state_dict()), 0)
    protocol = staged
    run = _Run(recipe, protocol, tasks, seed, parents, steps=len(train_split.ids) // protocol.batch)
    if run.steps_per_epoch == 0:
        raise TrainingError(
            f"{len(train_split.ids)} training images are fewer than one batch of {protocol.batch}",
            fix="Lower training.batch or use more images",
        )
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    augment = Augmentation(flip=protocol.flip, shift=protocol.shift, jitter=protocol.jitter)
    for epoch in range(run.epoch + 1, protocol.epochs + 1):
        batches = epoch_batches(train_split, protocol.batch, tasks, seed, epoch, augment)
        row = run.train_epoch(epoch, ((normalise(b.images), b.labels) for b in batches))
        last = epoch == protocol.epochs
        if len(val_split.ids) and (last or epoch % protocol.eval_every == 0):
            row |= run.validate_epoch(epoch, val_split, normalise)
        run.history.append(row)
        if checkpoint is not None and not last:
            run.save(checkpoint)
        progress(row | {"epochs": protocol.epochs})
    run.finish(validation)
    return run.result()


class _Run:
    """The state of one training, all that a resume needs."""

    def __init__(
        self,
        recipe: Recipe,
        protocol: TrainingProtocol,
        tasks: Mapping[str, Task],
        seed: int,
        parents: Mapping[str, State],
        steps: int,
    ) -> None:
        self.recipe, self.protocol, self.tasks = recipe, protocol, tasks
        self.network = recipe.network(parents, seed)
        weights = {name: protocol.task_weights.get(name, task.loss_weight) for name, task in tasks.items()}
        self.weighting = make_weighting(protocol.weighting, weights)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.network, self.weighting, protocol.weight_decay), lr=protocol.lr
        )
        self.steps_per_epoch = steps
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.first: dict[str, float] | None = None
        self.best_score = -math.inf
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] | None = None

    def train_epoch(
        self, epoch: int, batches: Iterator[tuple[Tensor, Mapping[str, Tensor]]]
    ) -> dict[str, float]:
        self.network.train()
        total = 0.0
        for i, (images, labels) in enumerate(batches):
            step = (epoch - 1) * self.steps_per_epoch + i
            rate = learning_rate(step, self.steps_per_epoch * self.protocol.epochs, self.protocol)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            total += self._step(step, images, labels)
        self.epoch = epoch
        return {"epoch": float(epoch), "loss": total / self.steps_per_epoch, "lr": rate}

    def _step(self, step: int, images: Tensor, labels: Mapping[str, Tensor]) -> float:
        progress = step / (self.steps_per_epoch * self.protocol.epochs)
        losses = self.recipe.losses(self.network, images, labels, progress)
        for name, value in losses.items():
            if not math.isfinite(value.item()):
                raise TrainingError(
                    f"the loss of {name} is {value.item()} at step {step} (epoch {step // self.steps_per_epoch + 1})",
                    fix="Lower training.lr, or check the labels of that task",
                )
        loss: Tensor = self.weighting(losses)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stubs leave it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.clip)
        self.optimizer.step()
        return loss.item()

    def validate_epoch(
        self, epoch: int, split: LoadedSplit, normalise: Callable[..., Tensor]
    ) -> dict[str, float]:
        self.network.eval()
        metrics = validate(
            lambda x: self.recipe.predict(self.network, x), split, self.tasks, self.protocol.batch, normalise
        )
        values = primary_values(metrics, self.tasks)
        self.first = self.first or values
        reached = score(values, self.first, self.tasks)
        if self.best_state is None or reached >= self.best_score:
            self.best_score, self.best_epoch = reached, epoch
            self.best_state = copy.deepcopy(self.network.state_dict())
        return {f"val.{task}.{name}": value for task, row in metrics.items() for name, value in row.items()}

    def finish(self, validation: Callable[[], Iterator[Tensor]]) -> None:
        if self.best_state is not None:
            self.network.load_state_dict(self.best_state)
        self.network.eval()
        self.recipe.finish(self.network, validation)

    def result(self) -> TrainingResult:
        state = self.network.state_dict()
        encoders = [module for module in self.network.modules() if isinstance(module, Encoder)]
        accounts = [describe(encoder.account) for encoder in encoders if encoder.account is not None]
        return TrainingResult(dict(state), self.best_epoch or self.epoch, self.history, accounts)

    def save(self, path: Path) -> None:
        """Write atomically, so that a kill leaves the previous epoch's file."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "network": self.network.state_dict(),
                "weighting": self.weighting.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "rng": torch.get_rng_state(),
                "epoch": self.epoch,
                "history": self.history,
                "first": self.first,
                "best_score": self.best_score,
                "best_epoch": self.best_epoch,
                "best_state": self.best_state,
            },
            partial,
        )
        os.replace(partial, path)

    def restore(self, path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.weighting.load_state_dict(saved["weighting"])
        self.optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["rng"])
        for name in ("epoch", "history", "first", "best_score", "best_epoch", "best_state"):
            setattr(self, name, saved[name])


def learning_rate(step: int, total_steps: int, protocol: TrainingProtocol) -> float:
    """Linear warm-up to `lr`, then a cosine to `min_lr_share` of it (Loshchilov and Hutter, 2017)."""
    warmup = round(protocol.warmup_share * total_steps)
    if step < warmup:
        return protocol.lr * (step + 1) / warmup
    progress = (step - warmup) / max(total_steps - warmup, 1)
    share = protocol.min_lr_share + (1 - protocol.min_lr_share) * (1 + math.cos(math.pi * progress)) / 2
    return protocol.lr * share


# Parts of the names of parameters that are looked up, not multiplied: no weight decay, as in the published recipes.
_EMBEDDINGS = ("pos_embed", "token", "relative_position_bias_table")


def _parameter_groups(network: nn.Module, weighting: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices and filters only: not on biases, norms, embeddings or loss weights."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        embedding = any(part in name for part in _EMBEDDINGS)
        (plain if parameter.ndim <= 1 or embedding else decayed).append(parameter)
    plain.extend(weighting.parameters())
    return [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
