"""`mtlbench ls`: what is registered, with one line each."""

from __future__ import annotations

from importlib import import_module

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["ls_command"]

_REGISTRIES = {
    "variants": "mtlbench.variants",
    "datasets": "mtlbench.data",
    "tasks": "mtlbench.tasks",
    "encoders": "mtlbench.encoders",
    "heads": "mtlbench.heads",
    "meters": "mtlbench.measure.energy",
}


def ls_command(what: str) -> None:
    """Print the names of one kind."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, summary in _suites() if what == "suites" else _registered(what):
        table.add_row(name, escape(summary))
    Console(soft_wrap=False).print(table)


def _registered(what: str) -> list[tuple[str, str]]:
    registry = import_module(_REGISTRIES[what]).registry
    return [(name, registry.summary(name)) for name in registry.names()]


def _suites() -> list[tuple[str, str]]:
    from mtlbench.suite.include import load, shipped_suites

    rows = []
    for name, path in sorted(shipped_suites().items()):
        description = load(path).value.get("description", "")
        rows.append((name, " ".join(str(description).split())))
    return rows
