"""Options of AdaMTL. Every place where the released code and what we think better differ is an option of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mtlbench import component

__all__ = ["AdaMTLOptions", "CompatOptions"]

_Share = Annotated[float, Field(ge=0, le=1)]


class AdaMTLOptions(component.Options):
    """What a policy decides, how it is made, and how it is trained. Numbers in brackets are facts of the paper's code.

    Attributes:
        gates: what a decision switches: whole blocks of an image, tokens, or both.
        scope: what a skipped token is left out of: the `mlp` alone (paper), or the whole `block`, where it is still
            attended to but asks nothing (in windows: windows without a kept token are not computed).
        policy: one policy for all tasks (`tag`), or one per task, of which any may keep (`taw`).
        hidden: width of the policies (64).
        trunk: first layer of the policies `shared` by all tasks, or one per task (paper).
        decide: token decisions before each layer (paper), or once per `stage`.
        block_policy: looks at the mean token (`pooled`), or at all of them side by side, which ties the weights to
            one resolution (`flattened`, paper).
        block_share: with both gates, share of what tokens are skipped that blocks are skipped too (0.9 of blocks and
            0.5 of tokens kept: 0.2).
        union: how the policies of the asked tasks become one decision: `soft_or`, whose gradient reaches every task, or
            a clamped sum of `independent` decisions (paper).
        skip: what a token gets in place of the MLP: nothing (`identity`), or its normalised self (`norm_residual`,
            released).
        decision: `certain`, or drawn with the probability that the policy gives (`sampled`, released).
        empty_block: whether a block that keeps no token of an image is left out whole (released).
        tau: temperature of the straight-through gradient (5).
        budget_weights: shares of a trained budget by `macs`, or by `channels` (released).
        budget_target: every `image` is drawn to the budget (paper), or the mean of a `batch`.
        budget_weight: weight of the loss that draws to the budget (1). Shares of all MACs differ by less than shares of
            what can be skipped, so the same distance needs more weight here.
        pretrain: first lesson of the policies, all else frozen: keep everything (`open`, paper), or find what the tasks
            miss at budgets of any size (`ranked`).
        pretrain_share: epochs of that lesson, as a share of the suite's (100 of 1000).
        joint_share: epochs of joint training, as a share of the suite's (300 of 1000).
        alternate: begin joint training with one task's decisions at a time (taw in the paper).
        full_share: share of training steps at full compute, where a runtime budget is trained.
        explore: scale of the noise on what ranks tokens in such training, so that they are tried out; 0 for none.
        detach: what a policy learns does not reach the encoder. In the paper's code it does, which disturbs the
            encoder: seen on `scenes` as lower quality than with random decisions.
    """

    gates: Literal["blocks", "tokens", "both"] = "tokens"
    scope: Literal["mlp", "block"] = "mlp"
    policy: Literal["tag", "taw"] = "taw"
    hidden: Annotated[int, Field(ge=1)] = 16
    trunk: Literal["shared", "per_task"] = "shared"
    decide: Literal["layer", "stage"] = "layer"
    block_policy: Literal["pooled", "flattened"] = "pooled"
    block_share: _Share = 0.2
    union: Literal["soft_or", "independent"] = "soft_or"
    skip: Literal["identity", "norm_residual"] = "identity"
    decision: Literal["certain", "sampled"] = "certain"
    empty_block: bool = False
    tau: Annotated[float, Field(gt=0)] = 1.0
    budget_weights: Literal["macs", "channels"] = "macs"
    budget_target: Literal["image", "batch"] = "batch"
    budget_weight: Annotated[float, Field(ge=0)] = 30.0
    pretrain: Literal["open", "ranked"] = "ranked"
    pretrain_share: _Share = 0.1
    joint_share: Annotated[float, Field(gt=0, le=10)] = 0.3
    alternate: bool = False
    full_share: _Share = 0.2
    explore: Annotated[float, Field(ge=0)] = 1.0
    detach: bool = True


class CompatOptions(AdaMTLOptions):
    """The released code: the same options with its values, and its checkpoints.

    Attributes:
        checkpoint: a file of the released code, loaded in the place of training; relative to MTLBENCH_DATA or to the
            working directory. Where it lies is no part of any identity. It needs the tasks, the input size and the
            options that it was trained with, `swin` with `maps: after_merging` and `tap_norms: false`, and the head
            `adamtl` with `layout: released`.
        checkpoint_sha256: of that file; its content is part of the identity. Filled in where `checkpoint` is given.
        checkpoint_budget: share of the reference's MACs that it was trained to spend, which the file does not say.
            Such a network decides by itself what it spends, so this is the one budget below 1.0 that can be asked
            for; at 1.0 its policies are left out and everything runs.
    """

    gates: Literal["blocks", "tokens", "both"] = "both"
    hidden: Annotated[int, Field(ge=1)] = 64
    trunk: Literal["shared", "per_task"] = "per_task"
    block_policy: Literal["pooled", "flattened"] = "flattened"
    union: Literal["soft_or", "independent"] = "independent"
    skip: Literal["identity", "norm_residual"] = "norm_residual"
    decision: Literal["certain", "sampled"] = "sampled"
    empty_block: bool = True
    tau: Annotated[float, Field(gt=0)] = 5.0
    budget_weights: Literal["macs", "channels"] = "channels"
    budget_target: Literal["image", "batch"] = "image"
    budget_weight: Annotated[float, Field(ge=0)] = 1.0
    pretrain: Literal["open", "ranked"] = "open"
    joint_share: Annotated[float, Field(gt=0, le=10)] = 0.6
    alternate: bool = True
    detach: bool = False
    checkpoint: Annotated[str | None, Field(exclude=True)] = None
    checkpoint_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    checkpoint_budget: Annotated[float | None, Field(gt=0, lt=1)] = None
