"""What a reader needs to believe a run, or to doubt it: noise, seeds, hashes, and how to run the same again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.report.frame import RunView, brief, is_ok, text
from mtlbench.report.gaps import Warned, warned
from mtlbench.report.groups import Group
from mtlbench.report.noise import noise, noise_words
from mtlbench.report.packages import package_words
from mtlbench.report.quantities import join
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["Trust", "trust"]

MOST_ROWS = 60
HASH_LETTERS = 12


@dataclass(frozen=True)
class Trust:
    """The section on trust, in the order in which it is read.

    Attributes:
        environment: names and values.
        noise_words: how far launches of one cell spread.
        noise: the same per way, worst first; None where nothing was timed.
        warnings: sentences and where they apply.
        seeds: which seeds there are and what intervals cover.
        hashes: of weights and data, per cell.
        code: versions of the code.
        rerun: commands.
        rerun_words: what the commands do not know.
    """

    environment: tuple[tuple[str, str], ...]
    noise_words: tuple[str, ...]
    noise: Table | None
    warnings: tuple[Warned, ...]
    seeds: tuple[str, ...]
    hashes: Table | None
    code: tuple[str, ...]
    rerun: tuple[str, ...]
    rerun_words: tuple[str, ...]


def trust(view: RunView, groups: list[Group]) -> Trust:
    """All that the run says about its own trustworthiness."""
    cells = pd.concat([group.cells for group in groups]) if groups else pd.DataFrame()
    cells = cells.assign(place=np.repeat([group.label for group in groups], [len(g.cells) for g in groups]))
    done = cells[is_ok(cells)] if len(cells) else cells
    return Trust(
        environment=tuple(_flat(view.environment)),
        noise_words=tuple(noise_words(done)),
        noise=noise(done),
        warnings=tuple(warned(view)),
        seeds=tuple(_seeds(done, groups)),
        hashes=_hashes(done),
        code=tuple(_code(done)),
        rerun=tuple(_rerun(view)),
        rerun_words=tuple(_rerun_words(view)),
    )


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None and value != "":
            words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield brief(f"{prefix}{key}"), brief(words, 400)


def _seeds(done: pd.DataFrame, groups: list[Group]) -> Iterator[str]:
    if done.empty or "seed" not in done:
        yield "The run names no seeds."
        return
    by_way = (
        text(done, "seed")
        .groupby([done["place"], done["label"]])
        .agg(lambda seeds: ", ".join(sorted(set(seeds))))
    )
    sets = by_way.value_counts()
    for seeds, count in sets.head(3).items():
        all_of = "all" if len(sets) == 1 else f"{count} of {len(by_way)}"
        several = "," in str(seeds)
        yield f"Seed{'s' if several else ''} {brief(str(seeds))} in {all_of} ways."
    if len(sets) > 3:
        yield f"{len(sets) - 3} other sets of seeds occur."
    yield (
        "A row of table.csv is one seed: n_seeds is 1 there, and its intervals do not know how much another seed would "
        "change. Points of figures are means over seeds" + _covered(groups)
    )


def _covered(groups: list[Group]) -> str:
    if groups and all(group.pooled for group in groups):
        return "; their delta-m has an interval over seeds and images together."
    return "; their limits are the outermost of the seeds' own."


def _hashes(done: pd.DataFrame) -> Table | None:
    columns = {
        "weights_hash": Header("weights", "", "Hash of the weights that ran.", 0),
        "artifact_ids": Header("artifacts", "", "Which trained artifacts they come from.", 1),
        "weights_from": Header("from", "", "Trained on this machine, or shipped with mtlbench.", 1),
        "data_hash": Header("data", "", "Fingerprint of the dataset.", 0),
        "cell_id": Header("cell", "", "Hash of the cell's specification.", 0),
    }
    known = [name for name in columns if len(done) and (text(done, name) != "").any()]
    if not _any_shipped(done):
        known = [name for name in known if name != "weights_from"]
    if not known:
        return None
    headers = (
        Header("way", "", "The way of running the tasks.", 0),
        Header("seed", "", "Seed of training and of random choices.", 0),
        *(columns[name] for name in known),
    )
    shown = done.head(MOST_ROWS)
    words = [
        text(shown, "label"),
        text(shown, "seed"),
        *(text(shown, name).map(_short_hashes) for name in known),
    ]
    rows = tuple(
        Row(variant, True, tuple(Entry(word, 0, word) for word in row))
        for variant, row in zip(text(shown, "variant"), zip(*words, strict=True), strict=True)
    )
    left = len(done) - len(rows)
    absent = (f"{left} more cells are in table.csv.",) if left else ()
    return Table("Hashes, each by its first letters; table.csv has them whole", headers, rows, (), absent)


def _any_shipped(done: pd.DataFrame) -> bool:
    return bool(text(done, "weights_from").str.contains("shipped").any())


def _short_hashes(words: str) -> str:
    parts = words.split("+")
    more = f" +{len(parts) - 2}" if len(parts) > 2 else ""
    return " ".join(part[:HASH_LETTERS] for part in parts[:2]) + more


def _code(done: pd.DataFrame) -> list[str]:
    versions = text(done, "code_version") if len(done) else pd.Series(dtype=object)
    return sorted({brief(part.strip()) for row in versions.unique() for part in str(row).split(";")} - {""})


def _rerun(view: RunView) -> Iterator[str]:
    suite = shlex.quote(str(view.folder / "suite.resolved.yaml"))
    again = shlex.quote(f"{view.folder}-again")
    yield f"mtlbench run {suite} --out {again}"
    yield f"mtlbench report {again}"


def _rerun_words(view: RunView) -> Iterator[str]:
    yield from package_words(view)
    yield (
        f"Both runs side by side: mtlbench report {shlex.quote(str(view.folder))} "
        f"{shlex.quote(f'{view.folder}-again')}; the first alone is this page."
    )
    datasets = sorted(set(text(view.table, "dataset")) - {""})
    if datasets:
        yield (
            f"Where data lies is no part of a suite: for {join(map(brief, datasets), 6)}, set MTLBENCH_DATA to your "
            "data folder, or say it in the suite (docs/datasets.md). A dataset that is generated needs no place."
        )
    yield "With the weights still in the cache nothing is trained again; --fresh trains everything anew."
    if _any_shipped(view.table):
        yield "Some weights came with mtlbench (shipped), in half precision; --fresh does not use them."
    if view.run.get("mtlbench_version"):
        version = brief(str(view.run["mtlbench_version"]))
        yield f"Measured with mtlbench {version}; another version may count or time differently."
