"""Options of the faithful element-wise form. Where released code and what we think right differ, each is an option."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mtlbench import component

__all__ = ["STAGE_OPTIONS", "ElementOptions"]

_COMPAT: dict[str, Any] = {
    "gate_decay": 0.01,
    "kept": "best",
    "mask": "sampled",
    "soft": False,
    "penalty": "sum",
    "lambda_a": 2e-6,
}
"""Where the released code is not as our defaults are."""

STAGE_OPTIONS: dict[str, tuple[str, ...]] = {
    "delta": ("delta_share", "lambda_w", "alpha_scale", "gate_decay", "kept"),
    "mask": ("mask_share", "alpha_scale", "mask", "soft"),
    "activations": ("activation_share", "penalty", "lambda_a", "kept"),
}
"""By training stage, the options that shape it: what shapes a later stage trains no earlier one again."""


class ElementOptions(component.Options):
    """Sub-tasks as sparse differences of weights and of activations, element by element.

    `preset` fills in what is not given: as we think right (`corrected`), or as the released code does (`compat`).

    Attributes:
        base: the base task; by default semseg, as in the paper, and the first task where there is none.
        preset: gives `gate_decay`, `kept`, `mask`, `soft`, `penalty` and `lambda_a` their defaults.
        delta_share: epochs of the first stage (gated differences of all weights), as a share of the suite's.
        mask_share: epochs of the second stage (the gates fixed), as a share of the suite's.
        activation_share: epochs of the third stage (differences of activations), as a share of the suite's.
        lambda_w: weight of the expected number of weights that differ, in the first stage. Released: 5e-8 (parts,
            normals) and 1.25e-8 (edge, saliency) for 900 epochs. Far fewer epochs need more: the pull on a gate has
            to win against the noise of the task's gradient within them. The default left 2 % (depth) and 6 % (normals)
            of a nano vit's weights after 24 epochs of 512 images of `scenes`.
        alpha_scale: how many times faster the gates' logits learn than the other weights. Released: 0.1 against
            2e-5; 100 with learning rates around 1e-3 gives the gates that same 0.1.
        gate_decay: decoupled weight decay of the gates' logits, which draws every gate to even odds. Released: 0.01
            (AdamW's default, unintended); corrected: none.
        kept: of the first and the third stage, the epoch that is `best` on validation (released), or the `last`: what
            they are to make sparse gets sparser to the end, which the task's metric does not see.
        mask: which weights differ from the second stage on: those of one draw of the gates (`sampled`, released), or
            those whose gate is open without noise (`expected`, corrected).
        soft: whether the second stage starts from differences times their gates without noise (corrected); released:
            from bare differences, so that weights jump.
        penalty: in the third stage, the L1 norm of differences of activations of each image, as a `sum` over all
            elements (released, where it is summed over the images of a batch too) or as their `mean` (corrected), which
            depends neither on the resolution nor on the depth.
        lambda_a: weight of that penalty. Released: from 1.25e-10 (normals) to 5e-10 (edge) on sums over batches of
            images of 132 million elements each: 0.02 to 0.07 on the mean, times the images of a batch. The default of
            `compat` is for sums over half a million elements (a nano vit on 64 x 64 pixels).
    """

    base: str | None = None
    preset: Literal["corrected", "compat"] = "corrected"
    delta_share: Annotated[float, Field(gt=0, le=10)] = 1.0
    mask_share: Annotated[float, Field(ge=0, le=10)] = 0.5
    activation_share: Annotated[float, Field(ge=0, le=10)] = 0.5
    lambda_w: Annotated[float, Field(ge=0)] = 3e-6
    alpha_scale: Annotated[float, Field(gt=0)] = 100.0
    gate_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    kept: Literal["last", "best"] = "last"
    mask: Literal["expected", "sampled"] = "expected"
    soft: bool = True
    penalty: Literal["mean", "sum"] = "mean"
    lambda_a: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _follow_preset(cls, given: Any) -> Any:
        follows = isinstance(given, dict) and given.get("preset") == "compat"
        return {**_COMPAT, **given} if follows else given
