"""Which other packages a run took variants, meters and the like from: what to install before it can be run again."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mtlbench.registry import Registry
from mtlbench.report.frame import RunView, brief, text
from mtlbench.report.quantities import join

__all__ = ["package_words"]

ROOMS = {
    "dataset": "data",
    "task": "tasks",
    "encoder": "encoders",
    "head": "heads",
    "variant": "variants",
    "meter": "measure.energy",
}
"""Where the registry of each kind of component is."""
LOOKED_UP = ("variant", "meter")
"""Kinds of which it is said that nothing here knows a name; registries of networks are slow to import."""
MOST_NAMES = 12


def package_words(view: RunView) -> Iterator[str]:
    """Packages with their versions and what came from them; names that nothing installed here has."""
    used = _used(view)
    found: dict[str, list[str]] = {}
    known: set[tuple[str, str]] = set()
    for kind in ROOMS:
        for entry in entry_points(group=f"mtlbench.{kind}s"):
            if entry.name in used[kind] and not _is_built_in(kind, entry):
                package = (
                    f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package without a name"
                )
                found.setdefault(package, []).append(f"{kind} {brief(entry.name)}")
                known.add((kind, entry.name))
    if found:
        said = [f"{package} ({join(names, MOST_NAMES)})" for package, names in sorted(found.items())]
        yield (
            f"Install first, beside mtlbench: {join(said, MOST_NAMES)}. Versions are those found where this page was "
            "made."
        )
    lost = [
        f"{kind} {brief(name)}"
        for kind in LOOKED_UP
        for name in sorted(used[kind])
        if (kind, name) not in known and name not in _registry(kind)
    ]
    if lost:
        names = join(lost, MOST_NAMES, "or")
        yield f"No package installed where this page was made has {names}: running again needs the one that does."


def _used(view: RunView) -> dict[str, set[str]]:
    """Names of components by kind, as far as the run says."""
    used: dict[str, set[str]] = {kind: set() for kind in ROOMS}
    for versions in text(view.table, "code_version").unique():
        for component in str(versions).split(";"):
            kind, colon, name = component.partition("=")[0].strip().partition(":")
            if colon and kind in used:
                used[kind].add(name)
    used["variant"] |= set(text(view.table, "variant")) - {""}
    asked = str((view.run.get("measure") or {}).get("energy") or "auto")
    used["meter"] |= {asked} - {"auto"}
    return used


def _registry(kind: str) -> Registry[Any]:
    registry: Registry[Any] = import_module(f"mtlbench.{ROOMS[kind]}").registry
    return registry


def _is_built_in(kind: str, entry: EntryPoint) -> bool:
    """Whether mtlbench has a component of this name itself, which then wins."""
    return _registry(kind).summary(entry.name) not in ("", entry.value)
