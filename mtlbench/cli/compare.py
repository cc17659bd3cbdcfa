"""`mtlbench compare` and `mtlbench gate`: two runs, what changed between them, and the exit code that it comes to."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mtlbench.errors import UsageError
from mtlbench.report.wrap import shortened
from mtlbench.results.folder import write_atomically

if TYPE_CHECKING:
    from mtlbench.compare.turns import Request
    from mtlbench.compare.verdict import Comparison

__all__ = ["Outputs", "baseline_command", "compare_command", "gate_command"]

_INCONCLUSIVE = 3


@dataclass(frozen=True)
class Outputs:
    """Where a comparison goes beside the terminal.

    Attributes:
        json: a file for everything, or None.
        markdown: a file for a pull-request comment, or None.
        junit: a file of JUnit XML, or None.
        github: whether to annotate, and to write the step summary of, a GitHub job.
        allow_inconclusive: whether 3 becomes 0.
    """

    json: Path | None = None
    markdown: Path | None = None
    junit: Path | None = None
    github: bool = False
    allow_inconclusive: bool = False


def compare_command(
    base: Path, head: Path, overrides: Sequence[str], tiers: str | None, outputs: Outputs
) -> int:
    """Compare two run folders; the exit code."""
    from mtlbench.compare.comparing import compare_runs

    compared = partial(compare_runs, base, head, overrides=overrides, tiers=tiers)
    return _show(_or_refused(compared, outputs), outputs)


def gate_command(
    suite: str,
    base: str | None,
    head: str | None,
    out: Path | None,
    overrides: Sequence[str],
    only: str | None,
    outputs: Outputs,
    *,
    resume: bool = False,
    retrain: bool = False,
) -> int:
    """Run two versions side by side and compare them; the exit code."""
    from mtlbench.compare.gating import GatePlan, run_gate
    from mtlbench.suite.load import load_suite

    loaded = load_suite(suite, overrides)
    if any(text.startswith("measure.launches=") for text in overrides):
        raise UsageError(
            "the gate decides how often each cell is launched",
            where="--set measure.launches",
            fix="Set gate.blocks and gate.confirm_blocks instead",
        )
    own = shlex.join([sys.executable, "-m", "mtlbench"])
    plan = GatePlan(
        suite=loaded.path.resolve(),
        gate=loaded.suite.gate,
        base=base or own,
        head=head or own,
        out=out or Path("results") / f"{loaded.suite.suite}-gate",
        overrides=overrides,
        only=only,
        resume=resume,
        retrain=retrain,
    )
    with _telling(Console(stderr=True)) as (said, on_launch):
        compared = partial(run_gate, plan, said, on_launch)
        comparison = _or_refused(compared, outputs)
    return _show(comparison, outputs)


def baseline_command(
    suite: str, folder: Path, check: bool, overrides: Sequence[str], outputs: Outputs
) -> int:
    """Renew a baseline and show what changes, or compare with it and leave it; the exit code."""
    from mtlbench.cli.progress import ProgressObserver
    from mtlbench.compare.baseline import check_baseline, update_baseline

    console = Console()
    with ProgressObserver(Console(stderr=True)) as observer:
        compared = check_baseline if check else update_baseline
        changes = compared(suite, folder, overrides=overrides, observer=observer)
    code = 0 if changes is None else _show(changes, outputs)
    if check:
        return code
    console.print(
        f"\nbaseline {'renewed' if changes else 'written'}: {folder}", soft_wrap=True, highlight=False
    )
    return 0


def _or_refused(compared: Callable[[], Comparison], outputs: Outputs) -> Comparison:
    """The comparison; where a threshold is refused, what was found is shown all the same, and the refusal goes on."""
    from mtlbench.compare.comparing import ThresholdTooFineError

    try:
        return compared()
    except ThresholdTooFineError as refused:
        _show(refused.comparison, outputs)
        raise


def _show(comparison: Comparison, outputs: Outputs) -> int:
    """Print a comparison, write what was asked for; the exit code."""
    from mtlbench.compare.outputs import github, json_file, junit, markdown, terminal

    for path, text in (
        (outputs.json, json_file.to_json),
        (outputs.markdown, markdown.to_markdown),
        (outputs.junit, junit.to_junit),
    ):
        if path is not None:
            _write(path, text(comparison))
    terminal.print_comparison(comparison, Console())
    if outputs.github:
        sys.stdout.write(github.annotations(comparison))
        github.write_step_summary(comparison, os.environ)
    allowed = outputs.allow_inconclusive and comparison.exit_code == _INCONCLUSIVE
    return 0 if allowed else comparison.exit_code


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", where=str(path), fix="Choose another file"
        ) from error


@contextmanager
def _telling(
    console: Console,
) -> Iterator[tuple[Callable[[str], None], Callable[[str, Request], None]]]:
    """Says what is being done: on a terminal in one line that goes again, elsewhere each block once.

    Drawn only when something happens: while a launch is timed, this process sleeps.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("")
        blocks: set[int] = set()

        def said(words: str) -> None:
            if console.is_terminal:
                room = console.width - len("* 0:00:00") - 2
                progress.update(task, description=escape(shortened(words, room)), refresh=True)
            else:
                console.print(words, soft_wrap=True, highlight=False, markup=False)

        def on_launch(side: str, request: Request) -> None:
            if console.is_terminal:
                said(f"block {request.block + 1}: {side} {request.group}")
            elif request.block not in blocks:
                blocks.add(request.block)
                said(f"block {request.block + 1}")

        yield said, on_launch
