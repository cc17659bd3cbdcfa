"""From a suite file to a validated suite: read, include, override, check every name and option.

All that could be wrong with a file alone is found here, before any work, with its line and column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mtlbench import data, encoders, heads, tasks, variants
from mtlbench.component import Component
from mtlbench.errors import SuiteError, UnknownNameError, UsageError, did_you_mean
from mtlbench.measure import energy
from mtlbench.registry import Registry
from mtlbench.suite.include import load, shipped_suites
from mtlbench.suite.overrides import apply_override
from mtlbench.suite.problems import SuiteProblemsError, complaints, in_one, raise_validation, unknown_name
from mtlbench.suite.schema import ComponentRef, Suite, TaskSet, VariantRef
from mtlbench.suite.yaml_source import Document
from mtlbench.training.artifact import Named

__all__ = ["LoadedSuite", "LoadedVariant", "find_suite", "load_suite"]

_Path = tuple[str | int, ...]

# Stand for the parts of a suite that are wrong, so that the names and options of the others are checked too.
_STAND_INS = {"suite": "x", "datasets": ["scenes"], "encoders": ["vit"], "variants": ["single_task"]}


@dataclass(frozen=True)
class LoadedVariant:
    """A variant of a suite with its options resolved and every axis given its points."""

    variant: Named
    axes: dict[str, tuple[int | float | str, ...]]


@dataclass(frozen=True)
class LoadedSuite:
    """A suite whose every name exists and whose every option is valid.

    Args:
        path: the file it came from.
        suite: the validated schema.
    """

    path: Path
    suite: Suite
    datasets: tuple[Named, ...]
    encoders: tuple[Named, ...]
    head: Named
    variants: tuple[LoadedVariant, ...]
    baselines: tuple[Named, ...]

    def resolved(self) -> str:
        """The suite as YAML with every include, override and default written out: what is saved with a run.

        It is a suite itself; where data lies is left out.
        """
        written = self.suite.model_dump(mode="json")
        written["datasets"] = [_written(named) for named in self.datasets]
        written["encoders"] = [_written(named) for named in self.encoders]
        written["head"] = _written(self.head)
        written["variants"] = [
            _written(loaded.variant) | {"axes": {name: list(points) for name, points in loaded.axes.items()}}
            for loaded in self.variants
        ]
        return yaml.safe_dump(written, sort_keys=False, allow_unicode=True)


def _written(named: Named) -> dict[str, Any]:
    return {"name": named.name, **named.options}


def find_suite(name: str) -> Path:
    """A suite by path, or by the name of one that ships with mtlbench.

    Raises:
        SuiteError: neither a file nor a shipped suite.
    """
    path = Path(name)
    if path.is_file() or path.suffix in {".yaml", ".yml"}:
        return path
    shipped = shipped_suites()
    if name not in shipped:
        raise SuiteError(
            "no such file, and no shipped suite of that name", where=name, fix=did_you_mean(name, shipped)
        )
    return shipped[name]


def load_suite(name: str, overrides: Sequence[str] = ()) -> LoadedSuite:
    """Read and validate a suite.

    Args:
        name: path of a YAML file, or name of a shipped suite.
        overrides: texts of the form `a.b=c`, as `--set` takes them.

    Raises:
        SuiteError: with file, line, column and the nearest valid name, for everything that is wrong.
    """
    path = find_suite(name)
    document = load(path)
    for text in overrides:
        document = apply_override(document, text)
    check = _Checker(document)
    suite = check.schema()
    check.tasks(suite)
    check.meter(suite.measure.energy)
    loaded = LoadedSuite(
        path,
        suite,
        datasets=check.all(data.registry, suite.datasets, "datasets"),
        encoders=check.all(encoders.registry, suite.encoders, "encoders"),
        head=check.named(heads.registry, suite.head, ("head",)),
        variants=tuple(check.variant(ref, ("variants", i)) for i, ref in enumerate(suite.variants)),
        baselines=check.all(variants.registry, [ComponentRef(name=b) for b in suite.baselines], "baselines"),
    )
    check.require_none()
    return loaded


class _Checker:
    """Checks the parts of a suite and keeps everything that is wrong, each with its position.

    What is wrong gives a stand-in, which nobody sees: `require_none` comes before the suite is used.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[SuiteError] = []

    def require_none(self) -> None:
        """Raise all that was found as one error."""
        if self._found:
            raise in_one(self._found)

    def schema(self) -> Suite:
        value: dict[str, Any] = self._document.value
        try:
            return Suite.model_validate(value)
        except ValidationError as error:
            self._found += complaints(self._document, error, Suite)
            wrong = {details["loc"][0] for details in error.errors() if details["loc"]}
        if "datasets" in wrong:
            wrong.add("tasks")  # which may be by dataset
        sound = {key: part for key, part in value.items() if key not in wrong}
        try:
            return Suite.model_validate(_STAND_INS | sound)
        except ValidationError:  # its parts are wrong together
            raise in_one(self._found) from None

    def tasks(self, suite: Suite) -> None:
        self._found += _task_errors(self._document, suite)

    def meter(self, name: str) -> None:
        if name != "auto":
            try:
                self._component(energy.registry, name, ("measure", "energy"))
            except SuiteError as error:
                self._keep(error)

    def all(self, registry: Registry[Any], refs: Iterable[ComponentRef], key: str) -> tuple[Named, ...]:
        return tuple(self.named(registry, ref, (key, i)) for i, ref in enumerate(refs))

    def named(self, registry: Registry[Any], ref: ComponentRef, path: _Path) -> Named:
        try:
            return self._resolved(registry, ref, path)
        except SuiteError as error:
            self._keep(error)
            return Named(ref.name)

    def variant(self, ref: VariantRef, path: _Path) -> LoadedVariant:
        try:
            named = self._resolved(variants.registry, ref, path)
            return LoadedVariant(named, _axes(self._document, ref, path))
        except SuiteError as error:
            self._keep(error)
            return LoadedVariant(Named(ref.name), {})

    def _keep(self, error: SuiteError) -> None:
        self._found += error.problems if isinstance(error, SuiteProblemsError) else [error]

    def _resolved(self, registry: Registry[Any], ref: ComponentRef, path: _Path) -> Named:
        name, _, value = ref.name.partition(":")
        component = self._component(registry, name, (*path, "name"))
        given = ref.options
        if value and component.shorthand:
            given = {component.shorthand: value, **given}
        elif value:
            raise SuiteError(
                f"{name} takes nothing after a colon",
                where=self._document.where((*path, "name")),
                fix=f"Write {name}",
            )
        try:
            return Named(name, component.resolve(given), component.places(given))
        except ValidationError as error:
            options: type[BaseModel] = component.Options
            raise_validation(self._document, error, options, prefix=path, also_known=("name", "axes"))
        except UsageError as error:  # a file that an option names
            raise self._located(error, path) from error

    def _component(self, registry: Registry[Any], name: str, path: _Path) -> type[Component]:
        try:
            component: type[Component] = registry.get(name)
        except UnknownNameError as error:
            raise unknown_name(self._document, path, error) from error
        except UsageError as error:
            raise self._located(error, path) from error
        return component

    def _located(self, error: UsageError, path: _Path) -> SuiteError:
        what = error.what if error.where is None else f"{error.where}: {error.what}"
        return SuiteError(what, where=self._document.where(path), fix=error.fix)


def _task_errors(document: Document, suite: Suite) -> Iterator[SuiteError]:
    """Every task that a task set, a way of asking or a weight names must be registered; a dataset must be listed."""
    named = [*_named_in(document, ("ask",), suite.ask)]
    for path, sets in _task_sets(suite):
        named += _named_in(document, path, sets)
    if isinstance(suite.tasks, dict):
        listed = [ref.name for ref in suite.datasets]
        for dataset in suite.tasks:
            if dataset not in listed:
                yield SuiteError(
                    f"tasks are given for {dataset!r}, which is not among the datasets",
                    where=document.where(("tasks", dataset)),
                    fix=did_you_mean(dataset, listed),
                )
    if suite.training != "random":
        named += [(("training", "task_weights", name), name) for name in suite.training.task_weights]
    for path, name in named:
        if name not in tasks.registry:
            error = UnknownNameError(f"unknown task {name!r}", fix=did_you_mean(name, tasks.registry.names()))
            yield unknown_name(document, path, error)


def _task_sets(suite: Suite) -> Iterator[tuple[_Path, Sequence[TaskSet]]]:
    if isinstance(suite.tasks, dict):
        yield from ((("tasks", dataset), sets) for dataset, sets in suite.tasks.items())
    else:
        yield ("tasks",), suite.tasks


def _named_in(
    document: Document, path: _Path, sets: Sequence[str | list[str]]
) -> Iterator[tuple[_Path, str]]:
    """(path, task) of every task that is named; one set may stand without the list of sets around it."""
    written: Any = document.value
    for key in path:
        written = written.get(key) if isinstance(written, dict) else None
    is_one_set = len(sets) == 1 and sets[0] == written
    for i, names in enumerate(sets):
        if not isinstance(names, str):
            yield from (((*path, j) if is_one_set else (*path, i, j), name) for j, name in enumerate(names))


def _axes(
    document: Document, ref: VariantRef, path: tuple[str | int, ...]
) -> dict[str, tuple[int | float | str, ...]]:
    """Points of every axis of a variant: as the suite says, or the variant's own grid."""
    known = {axis.name: axis for axis in variants.registry.get(ref.name).axes}
    for name, points in ref.axes.items():
        where = document.where((*path, "axes", name))
        if name not in known:
            raise SuiteError(f"{ref.name} has no axis {name!r}", where=where, fix=did_you_mean(name, known))
        for i, value in enumerate(points):
            refused = known[name].refuse(value)
            if refused:
                here = document.where((*path, "axes", name, i))
                raise SuiteError(f"{name} {refused}, got {value!r}", where=here)
        if not points or len({known[name].canonical(value) for value in points}) != len(points):
            raise SuiteError(f"axis {name!r} needs distinct points", where=where, fix="List each value once")
    return {
        name: tuple(axis.canonical(value) for value in ref.axes.get(name, axis.grid))
        for name, axis in known.items()
    }
