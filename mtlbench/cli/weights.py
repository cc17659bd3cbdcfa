"""`mtlbench weights`: a suite's trained weights in half precision, to ship them with mtlbench."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mtlbench import api
from mtlbench.errors import UsageError
from mtlbench.results.folder import require_folder

if TYPE_CHECKING:
    from mtlbench.execute.prepare import Prepared
    from mtlbench.training.artifact import Artifact
    from mtlbench.training.shipped import Packed

__all__ = ["weights_command"]

_MIB = 2**20


def weights_command(suite: str, out: Path | None, only: Sequence[str]) -> None:
    """Pack what the cells of a suite name, and print what was written; nothing is where anything is refused.

    Args:
        suite: path of a suite file, or name of a shipped one.
        out: the folder; `weights` by default.
        only: patterns over labels and ids of cells; none for all cells.

    Raises:
        UsageError: nothing matches, an artifact is not trained yet, or one is too large to ship.
    """
    from mtlbench.training.shipped import remove_stale

    prepared = api.prepare(suite)
    packed = _packed(_chosen(prepared, only), suite, prepared.plan.suite.suite.suite)
    _refuse_large(packed)
    folder = out or Path("weights")
    require_folder(folder, create=True)
    for one in packed:
        one.write(folder)
    removed = remove_stale(
        folder, prepared.plan.suite.suite.suite, {artifact.key for artifact in prepared.wanted()}
    )
    _print(packed, removed, folder)


def _chosen(prepared: Prepared, only: Sequence[str]) -> list[Artifact]:
    """The artifacts of the cells that match, without those that the cells are compared to."""
    if not prepared.wanted():
        raise UsageError("this suite has no trained weights", fix="Name a suite that trains")
    if not only:
        return prepared.wanted()
    cells = [cell for pattern in only for cell in prepared.plan.matching(pattern)]
    chosen = {artifact.key: artifact for cell in cells for artifact in prepared.artifacts.get(cell.id, ())}
    if not chosen:
        raise UsageError(
            f"--only {' '.join(map(repr, only))} matches no cell with trained weights",
            fix="`mtlbench run SUITE --dry-run` lists them all",
        )
    return list(chosen.values())


def _packed(artifacts: Sequence[Artifact], suite: str, name: str) -> list[Packed]:
    from mtlbench.training.cache import ArtifactCache
    from mtlbench.training.shipped import pack

    cache = ArtifactCache()
    stored = [cache.find_trained(artifact.key) for artifact in artifacts]
    missing = [a.label for a, found in zip(artifacts, stored, strict=True) if found is None]
    if missing:
        raise UsageError(
            f"not trained yet: {'; '.join(missing)}",
            fix=f"Run the suite first: `mtlbench run {suite}`, with --fresh where it loads weights that ship already",
        )
    return [
        pack(found.load(), found.record(), label=artifact.label, suite=name)
        for artifact, found in zip(artifacts, stored, strict=True)
        if found is not None
    ]


def _refuse_large(packed: Sequence[Packed]) -> None:
    from mtlbench.training.shipped import MAX_BYTES

    large = [one for one in packed if len(one.content) > MAX_BYTES]
    if large:
        sizes = "; ".join(f"{one.record['label']}: {len(one.content) / _MIB:.2f} MiB" for one in large)
        raise UsageError(
            f"too large to ship, over {MAX_BYTES / _MIB:.2f} MiB (5 MB): {sizes}",
            fix="Choose a smaller network, or leave it out with --only",
        )


def _print(packed: Sequence[Packed], removed: Sequence[str], folder: Path) -> None:
    console = Console()
    table = Table("artifact", "key", "MiB", "largest rounding", box=None, padding=(0, 2, 0, 0))
    table.columns[0].overflow = "fold"
    for column in table.columns[2:]:
        column.justify = "right"
    for one in packed:
        size, rounding = len(one.content) / _MIB, one.record["rounding"]
        table.add_row(escape(one.record["label"]), one.key, f"{size:.2f}", f"{rounding:.1e}")
    console.print(table)
    for gone in removed:
        console.print(escape(f"removed: {gone}"), soft_wrap=True, highlight=False)
    console.print(escape(f"weights: {folder}"), soft_wrap=True, highlight=False)
