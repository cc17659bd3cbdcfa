"""The `mtlbench` command: its subcommands, and what every failure becomes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtlbench.errors import MtlbenchError, UsageError

__all__ = ["app", "main"]

# Newer typers carry a click of their own, so the class is found through what typer exports.
_ClickException: type[Exception] = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
)

app = typer.Typer(
    name="mtlbench",
    help="Benchmark efficient multi-task vision models: accuracy, compute, latency and energy from one run.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_INTERRUPTED = 130

SuiteArgument = Annotated[
    str, typer.Argument(metavar="SUITE", help="A suite file, or the name of a shipped suite.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="a.b=c", help="Override one value of the suite; repeatable."),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only", metavar="PATTERN", help="Only cells whose label or id matches, and their baselines."
    ),
]


JsonOption = Annotated[Path | None, typer.Option("--json", help="Also write everything here.")]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", help="Also write a pull-request comment here.")
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML here.")]
GithubOption = Annotated[
    bool, typer.Option("--github", help="Also annotate a GitHub job and write its step summary.")
]
AllowOption = Annotated[
    bool, typer.Option("--allow-inconclusive", help="Exit with 0, not 3, where nothing worse was found.")
]


class Listed(StrEnum):
    """What `ls` can list."""

    variants = "variants"
    datasets = "datasets"
    tasks = "tasks"
    encoders = "encoders"
    heads = "heads"
    meters = "meters"
    suites = "suites"


data_app = typer.Typer(help="Your own datasets.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@app.callback()
def options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version, and stop.")] = False,
) -> None:
    """Benchmark efficient multi-task vision models: accuracy, compute, latency and energy from one run."""
    if show_version:
        from importlib.metadata import version

        sys.stdout.write(f"mtlbench {version('mtlbench')}\n")
        raise typer.Exit


@app.command()
def run(
    suite: SuiteArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Run folder; default results/<suite>.")] = None,
    overrides: SetOption = None,
    only: OnlyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and stop.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget earlier results and train everything again.")
    ] = False,
) -> None:
    """Run a suite: train what is missing, evaluate, time, and write the table."""
    from mtlbench.cli.run import dry_run_command, run_command

    if dry_run:
        raise typer.Exit(dry_run_command(suite, out, overrides or [], only, fresh))
    raise typer.Exit(run_command(suite, out, overrides or [], only, fresh))


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[Path | None, typer.Option("--out", help="Report folder; default reports/<suite>.")] = None,
    formats: Annotated[
        str, typer.Option("--formats", help="Files of the figures; none for a quick report.")
    ] = "png,svg,pdf",
) -> None:
    """Write an HTML page, figures and tables from run folders."""
    from mtlbench.cli.report import report_command

    report_command(runs, out, formats)


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="Run folder to compare against.")],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="Run folder to judge.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="gate.a=b", help="Override one value of the gate section; repeatable."),
    ] = None,
    tiers: Annotated[
        str | None, typer.Option("--tiers", help="Compare only these: exact,quality,time,front.")
    ] = None,
    json_file: JsonOption = None,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    github: GithubOption = False,
    allow_inconclusive: AllowOption = False,
) -> None:
    """Compare two runs: 0 pass, 1 regression, 3 inconclusive, 4 missing or not comparable."""
    from mtlbench.cli.compare import Outputs, compare_command

    outputs = Outputs(json_file, markdown, junit, github, allow_inconclusive)
    raise typer.Exit(compare_command(base, head, overrides or [], tiers, outputs))


@app.command()
def gate(
    suite: SuiteArgument,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="COMMAND", help="What starts base's mtlbench; default this one, an A/A check."
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="COMMAND", help="What starts head's; default this one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for both runs; default results/<suite>-gate.")
    ] = None,
    overrides: SetOption = None,
    only: OnlyOption = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a gate that was interrupted; else all is measured anew."),
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Let each side train its own weights, to judge the training too."),
    ] = False,
    json_file: JsonOption = None,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    github: GithubOption = False,
    allow_inconclusive: AllowOption = False,
) -> None:
    """Run two versions of the code side by side, launch by launch, and compare them."""
    from mtlbench.cli.compare import Outputs, gate_command

    outputs = Outputs(json_file, markdown, junit, github, allow_inconclusive)
    raise typer.Exit(
        gate_command(suite, base, head, out, overrides or [], only, outputs, resume=resume, retrain=retrain)
    )


@app.command()
def baseline(
    suite: SuiteArgument = "ci",
    folder: Annotated[Path, typer.Option("--folder", help="Where the baseline lies.")] = Path(
        "results/baseline"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the baseline, and leave it as it is.")
    ] = False,
    overrides: SetOption = None,
    json_file: JsonOption = None,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    github: GithubOption = False,
    allow_inconclusive: AllowOption = False,
) -> None:
    """Renew the baseline that a repository keeps, showing what changes; or check against it."""
    from mtlbench.cli.compare import Outputs, baseline_command

    outputs = Outputs(json_file, markdown, junit, github, allow_inconclusive)
    raise typer.Exit(baseline_command(suite, folder, check, overrides or [], outputs))


@app.command()
def ls(what: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """List what is registered."""
    from mtlbench.cli.ls import ls_command

    ls_command(what.value)


@app.command()
def cost(
    suite: SuiteArgument,
    overrides: SetOption = None,
    only: OnlyOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the audit here.")] = None,
) -> None:
    """Audit what each network of a suite costs, by several counters, without training."""
    from mtlbench.cli.cost import cost_command

    raise typer.Exit(cost_command(suite, overrides or [], only, json_file))


@data_app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder with a dataset.yaml.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the contact sheet; default data-check-<title>.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Look at so many samples of each split.")
    ] = None,
) -> None:
    """Check a dataset of your own: counts, missing and corrupt files, label histograms, a contact sheet."""
    from mtlbench.cli.data import data_check_command

    raise typer.Exit(data_check_command(path, out, limit))


@app.command()
def weights(
    suite: SuiteArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default weights.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="PATTERN", help="Only of cells whose label or id matches; repeatable."
        ),
    ] = None,
) -> None:
    """Pack the trained weights of a suite in half precision, to ship them with mtlbench."""
    from mtlbench.cli.weights import weights_command

    weights_command(suite, out, only or [])


@app.command()
def validate(suite: SuiteArgument, overrides: SetOption = None) -> None:
    """Check a suite without running it."""
    from mtlbench.cli.run import validate_command

    validate_command(suite, overrides or [])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing but a regression ever gives 1."""
    try:
        result = app(arguments, standalone_mode=False)
    except _ClickException as error:
        error.show()  # type: ignore[attr-defined]  # whichever click it is, it has show()
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except MtlbenchError as error:
        sys.stderr.write(f"mtlbench: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        return _INTERRUPTED  # whoever read the output went away; a run has stopped at that point
    except Exception as error:  # the last resort: a bug must not look like a regression
        return _unforeseen(error)
    # typer turns Ctrl-C into this code by itself.
    return _interrupted() if result == _INTERRUPTED else int(result or 0)


def _interrupted() -> int:
    sys.stderr.write("interrupted; run the same command again to continue\n")
    return _INTERRUPTED


def _unforeseen(error: Exception) -> int:
    """Code of an extension is named to its author; anything else is a bug of mtlbench."""
    import traceback

    from mtlbench.extensions import extension_error

    blamed = extension_error(error)
    if blamed is not None:
        sys.stderr.write(f"mtlbench: {blamed}\n")
        return blamed.exit_code
    traceback.print_exception(error)
    sys.stderr.write("mtlbench: internal error; please report the lines above\n")
    return MtlbenchError.exit_code
