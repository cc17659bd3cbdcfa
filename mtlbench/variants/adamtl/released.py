"""Weights of the released code of AdaMTL under our names, and whether they fit a network.

The released names are facts of that code: a backbone with its policies inside, and one decoder per task.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from math import isqrt
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mtlbench.encoders.weights import Layout, Rule, find_file, read_checkpoint
from mtlbench.encoders.weights.account import listed
from mtlbench.errors import DataError, UsageError

__all__ = ["load_released", "released_state", "require_fit"]

_NAMES = {"sal": "saliency"}
_EVERYONE = "all"
_IN_BLOCK = {"conv1": "conv1", "bn1": "bn1", "conv2": "conv2", "bn2": "bn2", "downsample": "shortcut"}
_IN_SEGMENT = {"0": "fuse", "1": "norm", "3": "predict"}
_NORM = "weight|bias|running_mean|running_var|num_batches_tracked"
_TABLE = "relative_position_bias_table"

# The configuration of a released checkpoint is a node of yacs, a dictionary with four attributes. Read as a plain one
# it needs no code of its own, so that torch reads the file with `weights_only`.
_CONFIG = (OrderedDict, "yacs.config.CfgNode")


def load_released(
    file: str | Path, names: Mapping[str, str] | None = None, *, window: int | None = None
) -> dict[str, Tensor]:
    """Read a file of the released code, whole or its weights alone, and convert it with `released_state`.

    Args:
        file: what `torch.load` reads with `weights_only`, the released checkpoints with their configuration among
            them, or safetensors; a relative path is looked for under MTLBENCH_DATA, then in the working directory.
        names: as `released_state` takes them.
        window: the same.

    Raises:
        DataError: the file is not there, is damaged, could only be read by running code that it brings along, or
            holds something else.
    """
    path = find_file(str(file))
    with torch.serialization.safe_globals([_CONFIG]):
        checkpoint = read_checkpoint(path)
    try:
        return released_state(checkpoint.tensors, names, window=window)
    except DataError as error:
        raise DataError(error.what, where=str(path), fix=error.fix) from error


def released_state(
    state: Mapping[str, Tensor], names: Mapping[str, str] | None = None, *, window: int | None = None
) -> dict[str, Tensor]:
    """The weights under our names.

    These are `encoder.*`, `heads.<task>.*`, `policies.token_policies.<stage>.scorers.<owner>.*` and the same of
    `block_policies`, where the owner is a task, or `all` for a task-agnostic policy.

    Released tables of relative positions are as small as the grid where that is smaller than a window. Ours are
    equally large in all stages, and such a grid uses the middle: there they are put, among zeros.

    Args:
        state: by the names of the released code; what follows from the configuration is left out.
        names: our name of a task, by its released name, in addition to `saliency` for `sal`.
        window: the encoder's; by default the largest of the weights.

    Raises:
        DataError: a key is none of the released code's.
        UsageError: `names` gives two tasks of the weights one name.
    """
    layout = _layout({**_NAMES, **(names or {})})
    targets = {key: layout.target(key) for key in state}
    strange = [key for key in state if targets[key] is None and not layout.reason_to_leave_out(key)]
    if strange or not any(targets.values()):
        raise DataError(
            f"these are no weights of AdaMTL's released code: it has no {listed(strange)}",
            fix="Give the state dictionary of its MultiTaskSwin: backbone.* and decoders.*",
        )
    kept = [(target[0], state[key]) for key, target in targets.items() if target is not None]
    converted = dict(kept)
    if len(converted) < len(kept):
        raise UsageError(
            f"two tasks of these weights get the name of one: {_joined(_tasks(converted))} are left",
            fix="Give each task of the weights a name of its own",
        )
    tables = [name for name in converted if name.endswith(_TABLE)]
    window = window or max((_side(converted[name]) for name in tables), default=1)
    return converted | {name: _widened(converted[name], window) for name in tables}


def require_fit(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str | None = None
) -> None:
    """Refuse converted weights that are not exactly those of a network.

    Args:
        state: from `released_state`.
        expected: the network's own state; only shapes are looked at, so that it may be on the meta device.
        where: the file, for the message.

    Raises:
        UsageError: tasks, policies, resolution or anything else differ; the first of these is named.
    """
    fault = _tasks_fault(state, expected) or _policy_fault(state, expected)
    fault = fault or _resolution_fault(state, expected) or _shape_fault(state, expected)
    if fault is not None:
        raise UsageError(f"these weights do not fit the network: {fault[0]}", where=where, fix=fault[1])


def _layout(names: Mapping[str, str]) -> Layout:
    def owner(released: str | None) -> str:
        return _EVERYONE if released is None else names.get(released, released)

    def in_refine(m: re.Match[str]) -> str:
        block = f"heads.{owner(m[1])}.refine.{m[2]}.{int(m[3]) - 2}"
        return f"{block}.{_IN_BLOCK[m[4]]}.{m[5]}"

    scorer = r"(mlp|fc)\.(weight|bias)"
    return Layout(
        "released AdaMTL",
        (
            Rule(
                rf"backbone\.layers\.(\d+)\.tokens_select\.(?:(\w+)\.)?{scorer}",
                lambda m: f"policies.token_policies.{m[1]}.scorers.{owner(m[2])}.{m[3]}.{m[4]}",
            ),
            Rule(
                rf"backbone\.layers_controllers\.(?:(\w+)\.)?(\d+)\.{scorer}",
                lambda m: f"policies.block_policies.{m[2]}.scorers.{owner(m[1])}.{m[3]}.{m[4]}",
            ),
            Rule(
                r"backbone\.((?:patch_embed|layers\.\d+\.(?:downsample|blocks\.\d+))\..+(?:weight|bias|table))",
                r"encoder.\1",
            ),
            Rule(
                rf"decoders\.(\w+)\.fuse\.(\d+)\.([23])\.(conv[12]|bn[12]|downsample)\.((?:[01]\.)?(?:{_NORM}))",
                in_refine,
            ),
            Rule(
                rf"decoders\.(\w+)\.segment\.([013])\.({_NORM})",
                lambda m: f"heads.{owner(m[1])}.{_IN_SEGMENT[m[2]]}.{m[3]}",
            ),
        ),
        ((r"backbone\..+\.(?:attn_mask|relative_position_index)", "follows from the configuration"),),
    )


def _side(table: Tensor) -> int:
    """Side of the window that a table [(2 * side - 1)**2, heads] is for."""
    return (isqrt(table.shape[0]) + 1) // 2


def _widened(table: Tensor, window: int) -> Tensor:
    """A table as the middle of one for a larger window; any other is returned as it is."""
    around, rows = window - _side(table), isqrt(table.shape[0])
    if around <= 0:
        return table
    return F.pad(table.view(rows, rows, -1), (0, 0, around, around, around, around)).flatten(0, 1)


_Fault = tuple[str, str]
"""What is wrong, and what to do."""


def _tasks_fault(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> _Fault | None:
    theirs, ours = _tasks(state), _tasks(expected)
    if theirs == ours:
        return None
    return (
        f"they are for the tasks {_joined(theirs)}, the network for {_joined(ours)}",
        "Name the tasks that the weights are for, or give weights that were trained for these tasks",
    )


def _tasks(state: Mapping[str, Tensor]) -> set[str]:
    return {name.split(".")[1] for name in state if name.startswith("heads.")}


def _policy_fault(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> _Fault | None:
    theirs, ours = _policies(state), _policies(expected)
    if theirs == ours:
        return None
    return (
        f"they have {_described(theirs)}, the network has {_described(ours)}",
        "Set the options `gates` and `policy` to those of the weights",
    )


def _policies(state: Mapping[str, Tensor]) -> dict[str, set[str]]:
    """Owners by kind of policy."""
    found: dict[str, set[str]] = {}
    for name in state:
        if match := re.match(r"policies\.(block|token)_policies\.\d+\.scorers\.(\w+)\.", name):
            found.setdefault(match[1], set()).add(match[2])
    return found


def _described(policies: Mapping[str, set[str]]) -> str:
    kinds = [
        f"a {kind} policy for {'all tasks' if owners == {_EVERYONE} else f'each of {_joined(owners)}'}"
        for kind, owners in sorted(policies.items())
    ]
    return " and ".join(kinds) or "no policy"


def _joined(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _resolution_fault(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> _Fault | None:
    theirs, ours = _policy_tokens(state), _policy_tokens(expected)
    stage = next((stage for stage in ours if theirs.get(stage, ours[stage]) != ours[stage]), None)
    if stage is None:
        return None
    return (
        f"their block policy looks at {theirs[stage]} tokens of stage {stage}, the network's at {ours[stage]}",
        "Such a policy belongs to one resolution: run at the input size of the weights, with the option "
        "`block_policy: flattened`",
    )


def _policy_tokens(state: Mapping[str, Tensor]) -> dict[int, int]:
    """Tokens that the block policy of each stage looks at side by side."""
    found = {}
    for name, weight in state.items():
        match = re.fullmatch(r"(policies\.block_policies\.(\d+)\.scorers\.\w+)\.fc\.weight", name)
        if match and (first := state.get(f"{match[1]}.mlp.weight")) is not None:
            found[int(match[2])] = weight.shape[1] // first.shape[0]
    return found


def _shape_fault(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> _Fault | None:
    wrong = [
        f"{name} is {list(state[name].shape)}, not {list(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    by_fault = {
        "missing": [name for name in expected if name not in state],
        "without a place": [name for name in state if name not in expected],
        "of another shape": wrong,
    }
    faults = [f"{fault}: {listed(found)}" for fault, found in by_fault.items() if found]
    if not faults:
        return None
    return (
        "; ".join(faults),
        "Set the options of encoder, head and policy to those that the weights were trained with",
    )
