"""Inputs that follow each other: a stream keeps state from frame to frame, so its frames are replayed in order."""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.errors import UsageError

__all__ = ["checked_clips"]


def checked_clips(n_inputs: int, clips: Sequence[range] | None) -> list[range]:
    """The clips of `n_inputs` inputs; without any, every input is a clip of its own.

    Args:
        n_inputs: number of inputs.
        clips: consecutive indices, together all inputs, each once and in order.

    Raises:
        UsageError: the clips are not that.
    """
    if clips is None:
        return [range(i, i + 1) for i in range(n_inputs)]
    if [i for clip in clips for i in clip] != list(range(n_inputs)) or not all(clips):
        raise UsageError(
            f"clips {list(clips)} do not cover {n_inputs} inputs in order", fix="Give consecutive ranges"
        )
    return list(clips)
