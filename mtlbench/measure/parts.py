"""Which part of a network is running: a stack kept by module hooks while a call is counted or watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from mtlbench.errors import UsageError

__all__ = ["OTHER", "PartTracker"]

OTHER = "other"
"""The part of everything that runs outside every named part."""


class PartTracker:
    """Follows a running network; `current` is the name of the innermost named part.

    A submodule belongs to the smallest part that holds it, also when it is called without its parent (a
    gate that calls the attention of a block by itself). One that two separate parts share belongs to
    whoever calls it.

    The hooks are PyTorch's global ones on purpose: hooks on a module switch its fused fast path off, and
    then another kernel would be counted than the one that runs.

    Args:
        parts: the module of each named part; parts may be nested.

    Raises:
        UsageError: two names for one module.
    """

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        self._owner = _owners(parts)
        self._frames: list[tuple[nn.Module, str]] = []
        self._handles: list[RemovableHandle] = []

    @property
    def current(self) -> str:
        """Name of the innermost running part."""
        return self._frames[-1][1] if self._frames else OTHER

    def start(self) -> None:
        """Begin to follow module calls; does nothing without parts."""
        if self._owner:
            self._handles.append(register_module_forward_pre_hook(self._enter))
            self._handles.append(register_module_forward_hook(self._leave, always_call=True))

    def stop(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._frames.clear()

    def changed(self, before: str, after: str) -> None:
        """Told when the running part changes; for those who follow more than the current one."""

    def _enter(self, module: nn.Module, _args: Any) -> None:
        before = self.current
        after = self._owner.get(id(module), before)
        if after != before:
            self.changed(before, after)
        self._frames.append((module, after))

    def _leave(self, module: nn.Module, _args: Any, _result: Any) -> None:
        before = self.current
        while self._frames and self._frames.pop()[0] is not module:
            pass  # frames that an interrupt skipped
        if self.current != before:
            self.changed(before, self.current)


def _owners(parts: Mapping[str, nn.Module]) -> dict[int, str]:
    """Part name by module identity."""
    owner: dict[int, str] = {}
    members = {name: {id(module) for module in part.modules()} for name, part in parts.items()}
    shared: set[int] = set()
    for name in sorted(members, key=lambda name: -len(members[name])):
        for module in members[name]:
            holder = owner.get(module)
            if holder is not None and members[holder] == members[name]:
                raise UsageError(
                    f"parts {holder!r} and {name!r} are one module", fix="Give each module one part name"
                )
            if holder is not None and not members[holder] > members[name]:
                shared.add(module)
            owner[module] = name
    return {module: name for module, name in owner.items() if module not in shared}
