"""Lazy registries: a name, where its implementation lives, and one line about it.

Nothing is imported until it is asked for, so that `mtlbench --help` and `mtlbench ls` stay light. Another
package registers through an entry-point group of the same name as the registry's (`mtlbench.variants`, ...);
built-in names win over installed ones, so a plugin cannot silently replace what a published number used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from mtlbench.contracts import require_contract
from mtlbench.errors import UnknownNameError, UsageError, did_you_mean
from mtlbench.extensions import find_fault, note_extension, told

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of component.

    Args:
        kind: what the names are, in the singular, for messages (`variant`).
        group: the entry-point group through which other packages add names.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets: dict[str, str | T] = {}
        self._summaries: dict[str, str] = {}
        self._installed: dict[str, str] | None = None

    def add(self, name: str, target: str | T, summary: str = "") -> None:
        """Register `target`, an object or a lazy `"module:attr"`, under `name`.

        Raises:
            UsageError: `name` is taken by something else, or `target` does not keep its contract.
        """
        if not isinstance(target, str):
            self._vet(name, target)
        if name in self._targets and self._targets[name] != target:
            raise UsageError(f"{self.kind} {name!r} is registered twice", fix="Give one of them another name")
        self._targets[name] = target
        self._summaries[name] = summary

    def names(self) -> list[str]:
        """All names, sorted, built-in and installed."""
        return sorted({*self._targets, *self._plugins()})

    def summary(self, name: str) -> str:
        """One line about `name`; for an installed component, where it comes from."""
        return self._summaries.get(name) or self._plugins().get(name, "")

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._plugins()

    def get(self, name: str) -> T:
        """Import and return what is registered under `name`.

        Raises:
            UnknownNameError: no such name; the message says the nearest.
            UsageError: the component cannot be imported, or does not keep its contract.
        """
        if name not in self:
            raise UnknownNameError(f"unknown {self.kind} {name!r}", fix=did_you_mean(name, self.names()))
        target = self._targets.get(name, self._plugins().get(name))
        if not isinstance(target, str):
            return target  # type: ignore[return-value]  # the registry holds T or str
        loaded: T = self._load(name, target)
        self._targets[name] = loaded
        return loaded

    def _load(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        note_extension(module)  # before its first line runs, and may raise
        try:
            found = getattr(import_module(module), attribute)
        except Exception as error:  # whatever another package's module does when it is imported
            fault = find_fault(error)
            at = f" at {fault.where}" if fault else ""
            raise UsageError(
                f"{self.kind} {name!r} cannot be loaded from {target!r}: {told(error)}{at}",
                fix="Correct it, install what it needs, or remove its registration",
            ) from error
        self._vet(name, found)
        return found

    def _vet(self, name: str, found: Any) -> None:
        """The contract of built-in components is kept by tests, that of others is checked here."""
        if note_extension(getattr(found, "__module__", "")):
            require_contract(self.kind, name, found)

    def _plugins(self) -> dict[str, str]:
        if self._installed is None:
            self._installed = {entry.name: entry.value for entry in entry_points(group=self.group)}
        return self._installed
