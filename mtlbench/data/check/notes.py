"""What is allowed but may not be meant: one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from mtlbench.data.check.report import QUANTILES, CheckReport
from mtlbench.data.folder.description import Description
from mtlbench.data.folder.encodings import UnitVectors
from mtlbench.data.folder.files import LABEL_SUFFIXES
from mtlbench.data.folder.index import Index

__all__ = ["notes"]

_MEDIAN = QUANTILES.index(0.5)
_AWAY = 0.1  # more than the rounding of 8 bits, which a floor seen edge-on would show


def notes(
    report: CheckReport,
    description: Description,
    index: Index,
    clip_of: Mapping[str, str],
    blank: Sequence[tuple[str, Path]],
    refused: Set[str],
) -> list[str]:
    """What whoever made the dataset should look at; what merely follows from a problem is left out.

    Args:
        report: counts and histograms.
        description: what `dataset.yaml` says.
        index: the samples.
        clip_of: by stem, its clip.
        blank: task and file of labels that are ignored or missing at every pixel.
        refused: tasks of which a label cannot be used, which is a problem of its own.
    """
    return [
        *_about_samples(report, blank, refused),
        *_about_labels(report, description, refused),
        *_about_clips(index, clip_of),
        *_about_files(report, index),
    ]


def _about_samples(
    report: CheckReport, blank: Sequence[tuple[str, Path]], refused: Set[str]
) -> Iterator[str]:
    bare = sum(counts.unlabelled for counts in report.splits.values())
    if bare:
        yield f"{_count(bare, 'image')} without any label"
    for split, counts in report.splits.items():
        lacking = [
            name
            for name, labelled in counts.labelled.items()
            if not labelled and name not in refused and any(c.labelled[name] for c in report.splits.values())
        ]
        if lacking and counts.read:
            yield f"{split} has no label of {', '.join(lacking)}"
    for name in dict.fromkeys(name for name, _ in blank):
        files = [file for other, file in blank if other == name]
        words = "labels say" if len(files) > 1 else "label says"
        yield f"{len(files)} {name} {words} nothing: every pixel is ignored or missing ({_example(files)})"
    if report.images.turned:
        yield (
            f"{_count(report.images.turned, 'image')} with an EXIF orientation: they are turned as viewers show them; "
            "check on the contact sheet that their labels are turned alike"
        )


def _about_labels(report: CheckReport, description: Description, refused: Set[str]) -> Iterator[str]:
    for name, shares in report.classes.items():
        absent = [label for label, images in zip(shares.names, shares.images, strict=True) if not images]
        if absent and any(shares.images) and name not in refused:
            yield f"{name}: no pixel is {', '.join(absent)}"
    for name, numbers in report.numbers.items():
        encoding = description.tasks[name].encoding
        if isinstance(encoding, UnitVectors) and numbers.quantiles and numbers.quantiles[2][_MEDIAN] > _AWAY:
            yield (
                f"{name}: most directions point away from the camera (z > 0); "
                "normals of what is seen point towards it, so check `axes`"
            )


def _about_clips(index: Index, clip_of: Mapping[str, str]) -> Iterator[str]:
    splits: dict[str, set[str]] = {}
    for split, entries in index.splits.items():
        for entry in entries:
            if entry.stem in clip_of:
                splits.setdefault(clip_of[entry.stem], set()).add(split)
    for clip, found in splits.items():
        if len(found) > 1:
            yield f"clip {clip} has frames in {' and '.join(sorted(found))}: neighbouring frames are nearly the same"


def _about_files(report: CheckReport, index: Index) -> Iterator[str]:
    for name, files in index.unread.items():
        if files:
            yield (
                f"{_count(len(files), f'{name} label')} not read because of the ending ({_example(files)}): "
                f"labels end in {' or '.join(LABEL_SUFFIXES)}"
            )
    for role, files in report.unlisted.items():
        if files:
            what = "image" if role == "images" else f"{role} label"
            yield f"{_count(len(files), what)} in no list ({_example(files)})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _example(files: Sequence[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name}, ..."
