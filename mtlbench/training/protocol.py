"""The training protocol: the settings that shape weights, one frozen model, hashed into every artifact."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mtlbench.component import Options

__all__ = ["TRAINING_VERSION", "TrainingProtocol"]

# Raise when the same protocol would give other weights.
TRAINING_VERSION = 2


class TrainingProtocol(Options):
    """AdamW with linear warm-up and cosine decay; the best validation epoch is kept."""

    epochs: int = Field(default=20, ge=1, description="passes over the training split")
    batch: int = Field(default=16, ge=1, description="images per step")
    lr: float = Field(default=1e-3, gt=0, description="peak learning rate")
    min_lr_share: float = Field(
        default=0.01, ge=0, le=1, description="share of the peak rate left at the end"
    )
    weight_decay: float = Field(
        default=0.05, ge=0, description="AdamW's; none on biases, norms and embeddings"
    )
    warmup_share: float = Field(default=0.1, ge=0, lt=1, description="share of all steps with linear warm-up")
    clip: float = Field(default=1.0, gt=0, description="largest gradient norm")
    weighting: Literal["fixed", "uncertainty"] = Field(
        default="fixed", description="how task losses are weighted"
    )
    task_weights: dict[str, float] = Field(
        default_factory=dict, description="fixed weights by task; a task left out takes its own default"
    )
    flip: float = Field(
        default=0.5, ge=0, le=1, description="probability of mirroring a training image and its labels"
    )
    shift: float = Field(
        default=0.0, ge=0, le=0.5, description="largest random shift, as a share of the image side"
    )
    jitter: float = Field(
        default=0.2, ge=0, lt=1, description="largest relative change of brightness and contrast"
    )
    eval_every: int = Field(default=1, ge=1, description="epochs between validations")
    threads: int = Field(default=1, ge=1, description="threads of one training process; weights depend on it")

    @model_validator(mode="after")
    def _weights_are_used(self) -> TrainingProtocol:
        if self.task_weights and self.weighting != "fixed":
            raise ValueError("task_weights are fixed weights; leave them out, or set weighting to fixed")
        return self

    def scaled(self, *shares: float) -> TrainingProtocol | None:
        """The same settings for as many epochs as stages of these shares take together; None where all are 0.

        A stage has at least one epoch.
        """
        epochs = sum(max(1, round(share * self.epochs)) for share in shares if share)
        return self.model_copy(update={"epochs": epochs}) if epochs else None
