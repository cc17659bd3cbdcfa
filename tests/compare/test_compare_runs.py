"""Which cells belong together, what a damaged run comes to, and every exit code of the command."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
import runs

from mtlbench.cli.app import main
from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.verdict import Verdict, exit_code
from mtlbench.errors import JournalError, UsageError


@pytest.fixture
def sides(tmp_path):
    return runs.copy(tmp_path, "base"), runs.copy(tmp_path, "head")


def of(comparison, label):
    return [f for f in comparison.findings if f.cell.startswith(label) and f.verdict is not Verdict.PASS]


def rename(run, old, new, change):
    """Give a cell another id, and change its entry."""

    def edit(content):
        found = next(key for key, entry in content["cells"].items() if entry["label"].startswith(old))
        entry = content["cells"].pop(found)
        entry["cell_id"] = new
        change(entry)
        content["cells"][new] = entry
        for keys in content["current"].values():
            keys[new] = keys.pop(found)

    found = runs.cell_id(run, old)
    runs.edit_run(run, edit)
    path = run / "launches.jsonl"
    path.write_text(path.read_text().replace(f'"cell_id": "{found}"', f'"cell_id": "{new}"'))


def test_another_specification_under_one_name_says_what_differs(sides):
    rename(sides[1], runs.STATIC, "f" * 16, lambda entry: entry["spec"]["training"].update(epochs=9))
    (finding,) = of(compare_runs(*sides), runs.STATIC)
    assert finding.verdict is Verdict.NOT_COMPARABLE
    assert "training.epochs 2 -> 9" in finding.sentence


def test_a_renamed_variant_is_missing_with_a_guess(sides):
    def renamed(entry):
        entry["label"] = entry["label"].replace("static_mtl", "shared_mtl")
        entry["spec"]["variant"]["name"] = "shared_mtl"

    rename(sides[1], runs.STATIC, "f" * 16, renamed)
    comparison = compare_runs(*sides)
    (finding,) = of(comparison, runs.STATIC)
    assert finding.verdict is Verdict.MISSING
    assert "'shared_mtl'" in finding.sentence
    assert any("Only head has shared_mtl" in note for note in comparison.notes)


def test_a_cell_that_only_head_has_is_a_note(sides):
    runs.edit_run(sides[0], lambda run: run["cells"].pop(runs.cell_id(sides[0], runs.ADAPTIVE)))
    comparison = compare_runs(*sides)
    assert comparison.exit_code == 0
    assert any(runs.ADAPTIVE in note for note in comparison.notes)


@pytest.mark.parametrize("side", [0, 1])
def test_a_failed_cell_is_missing_with_its_reason(sides, side):
    def fail(launch):
        launch.update(status="failed", reason="out of memory")

    runs.edit_launches(sides[side], fail, runs.STATIC, "profile")
    finding = of(compare_runs(*sides), runs.STATIC)[0]
    assert finding.verdict is Verdict.MISSING
    assert "out of memory" in finding.sentence
    assert ("base", "head")[side] in finding.sentence


def test_a_cell_that_was_not_run_is_missing(sides):
    runs.edit_launches(sides[1], lambda _: False, runs.STATIC)
    (finding,) = of(compare_runs(*sides), runs.STATIC)
    assert finding.verdict is Verdict.MISSING


def test_a_cell_that_neither_run_was_asked_for_is_a_note(sides):
    for run in sides:
        runs.edit_launches(run, lambda _: False, runs.STATIC)
    comparison = compare_runs(*sides)
    assert comparison.exit_code == 0
    assert any("Neither run has run static_mtl" in note for note in comparison.notes)


def test_thresholds_of_tiers_that_are_not_compared_are_let_be(sides):
    overrides = ["gate.thresholds={latency_ms: 5, metric.depth.rmse_m: 1, predictions.depth: 1}"]
    assert compare_runs(*sides, tiers="exact", overrides=overrides).exit_code == 0


def test_a_cell_that_head_no_longer_supports(sides):
    def refuse(run):
        run["cells"][runs.cell_id(sides[1], runs.STATIC)]["unsupported"] = "no heads"

    runs.edit_run(sides[1], refuse)
    (finding,) = of(compare_runs(*sides), runs.STATIC)
    assert finding.verdict is Verdict.MISSING
    assert "no heads" in finding.sentence
    assert compare_runs(sides[1], sides[1]).exit_code == 0


def test_runs_of_different_suites_say_so(sides):
    runs.edit_run(sides[1], lambda run: run.update(suite="other"))
    comparison = compare_runs(*sides)
    assert comparison.exit_code == 0
    assert "'ci' and 'other'" in comparison.notes[0]


def test_a_truncated_journal_is_read_and_said(sides):
    journal = sides[1] / "launches.jsonl"
    journal.write_text(journal.read_text()[:-40])
    comparison = compare_runs(*sides)
    assert any("incomplete" in note for note in comparison.notes)


def test_changed_thresholds_and_software_are_said(sides):
    runs.edit_run(sides[1], lambda run: run.update(gate={"thresholds": {"params": 50.0}}))
    runs.edit_launches(sides[1], runs.set_keys(environment__torch="9.9"))
    notes = " ".join(compare_runs(*sides).notes)
    assert "changes gate.thresholds ({} -> {'params': 50.0})" in notes
    assert "torch 2.13.0+cpu -> 9.9" in notes


def test_a_run_older_than_the_gate_section_has_its_defaults(sides):
    for run in sides:
        runs.edit_run(run, lambda content: content.pop("gate"))
    assert compare_runs(*sides).exit_code == 0


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda line: line[:-5], "not JSON"),
        (lambda line: line.replace('"params": ', '"params": "many", "was": '), "params is not a number"),
        (lambda line: line.replace('"schema_version": 1', '"schema_version": 99'), "99"),
        (lambda line: line.replace('"macs_full"', '"macs_ful"'), "lacks macs_full"),
        (lambda line: "[]", "not a launch"),
    ],
)
def test_a_journal_edited_by_hand_is_refused_with_its_line(sides, edit, words):
    journal = sides[1] / "launches.jsonl"
    lines = journal.read_text().splitlines()
    lines[2] = edit(lines[2])
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalError, match=words) as refused:
        compare_runs(*sides)
    assert str(refused.value).startswith(f"{journal}:3: ")
    assert main(["compare", str(sides[0]), str(sides[1])]) == 4


def test_a_journal_edited_by_hand_to_what_could_be_is_read(sides):
    runs.edit_launches(sides[1], runs.set_keys(params=1), runs.STATIC, "evaluate")
    assert runs.found(compare_runs(*sides), runs.STATIC, "params").head == 1


def test_a_newer_run_is_refused(sides, capsys):
    runs.edit_run(sides[1], lambda run: run.update(schema_version=99))
    assert main(["compare", str(sides[0]), str(sides[1])]) == 4
    assert "99" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("measure.rounds=9", "gate section"),
        ("gate.thresholds.latncy_ms=5", "latncy_ms"),
        ("gate.thresholds.params=-1", "params"),
        ("gate.blocks=3", "blocks"),
        ("gate.place=moon", "place"),
        ("gate.thresholds", "="),
    ],
)
def test_thresholds_that_cannot_be_are_usage_errors(sides, override, words, capsys):
    with pytest.raises(UsageError):
        compare_runs(*sides, overrides=[override])
    assert main(["compare", str(sides[0]), str(sides[1]), "--set", override]) == 2
    assert words in capsys.readouterr().err


def test_a_tier_that_does_not_exist_is_a_usage_error(sides, capsys):
    assert main(["compare", str(sides[0]), str(sides[1]), "--tiers", "exact,speed"]) == 2
    assert "tiers" in capsys.readouterr().err


def provoke(head, verdict):
    """Bring about one verdict in a cell of its own."""
    if verdict is Verdict.REGRESSION:
        runs.edit_launches(head, runs.set_keys(params=10**9), runs.STATIC, "evaluate")
    elif verdict is Verdict.IMPROVEMENT:
        runs.edit_launches(head, runs.set_keys(params=1), runs.SINGLE, "evaluate")
    elif verdict is Verdict.MISSING:
        runs.edit_launches(head, lambda _: False, runs.ADAPTIVE)
    elif verdict is Verdict.NOT_COMPARABLE:
        runs.edit_launches(head, runs.set_keys(data_hash="other"), "computation_sharing", "evaluate")
    elif verdict is Verdict.INCONCLUSIVE:
        runs.edit_statistics(head, "adamtl[budget=1.0]", "depth", lambda rows: rows * float("nan"))


CODES = {
    Verdict.NOT_COMPARABLE: 4,
    Verdict.MISSING: 4,
    Verdict.REGRESSION: 1,
    Verdict.INCONCLUSIVE: 3,
    Verdict.IMPROVEMENT: 0,
    Verdict.PASS: 0,
}
ORDER = (4, 1, 3, 0)


@pytest.mark.parametrize("pair", list(combinations(Verdict, 2)), ids="+".join)
def test_mixed_verdicts_have_the_code_of_the_graver(sides, pair):
    for verdict in pair:
        provoke(sides[1], verdict)
        if verdict is Verdict.INCONCLUSIVE:  # undefined in both, so neither better nor worse
            provoke(sides[0], verdict)
    comparison = compare_runs(*sides, tiers="exact,quality")
    expected = min((CODES[verdict] for verdict in pair), key=ORDER.index)
    if Verdict.INCONCLUSIVE in pair:  # its predictions are no numbers either
        expected = 4
    assert set(pair) <= set(comparison.counts)
    assert comparison.exit_code == expected


@pytest.mark.parametrize("pair", list(combinations(Verdict, 2)), ids="+".join)
def test_the_order_of_codes(pair):
    assert exit_code(pair) == min((CODES[verdict] for verdict in pair), key=ORDER.index)


def test_nothing_compared_is_no_pass():
    assert exit_code([]) == 4


def test_the_command_writes_what_it_is_asked_for(sides, tmp_path, capsys, monkeypatch):
    provoke(sides[1], Verdict.REGRESSION)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    files = {name: tmp_path / f"out.{name}" for name in ("json", "markdown", "junit")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert main(["compare", str(sides[0]), str(sides[1]), "--tiers", "exact", "--github", *options]) == 1
    said = capsys.readouterr().out
    assert "::error" in said
    assert "params" in said
    assert json.loads(files["json"].read_text())["exit_code"] == 1
    assert "params" in files["markdown"].read_text()
    assert "<failure" in files["junit"].read_text()
    assert "params" in summary.read_text()


def test_inconclusive_can_be_let_pass(sides, tmp_path):
    for run, start in zip(sides, (1.0e9, 1.0e9 + 5), strict=True):
        runs.add_times(run, blocks=6, start=start)
    arguments = ["compare", str(sides[0]), str(sides[1]), "--tiers", "time"]
    assert main(arguments) == 3
    assert main([*arguments, "--allow-inconclusive"]) == 0
    assert (
        main(["compare", str(sides[0]), str(sides[1]), "--json", str(tmp_path / "x" / "y" / "z.json")]) == 3
    )
    assert main(["compare", str(sides[0]), str(sides[1]), "--json", "/proc/nowhere/z.json"]) == 2


def test_a_machine_that_is_unfit_is_5(sides):
    for run, start in zip(sides, (1.0e9, 1.0e9 + 5), strict=True):
        runs.add_times(run, start=start)
        runs.edit_launches(run, runs.set_keys(warnings=["steal"]), kind="time")
    arguments = ["compare", str(sides[0]), str(sides[1])]
    assert main([*arguments, "--set", "gate.quiet_required=true"]) == 5


@pytest.mark.parametrize("missing", [0, 1])
def test_what_is_no_run_folder_is_a_usage_error(sides, missing, tmp_path, capsys):
    named = [str(side) for side in sides]
    named[missing] = str(tmp_path)
    assert main(["compare", *named]) == 2
    assert "not a run folder" in capsys.readouterr().err


def drop(path):
    """A change of run.json that removes what a path of keys leads to; `*` stands for the first cell."""

    def change(content):
        *way, last = path
        for key in way:
            content = content[next(iter(content)) if key == "*" else key]
        del content[last]

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *((drop(path), path[-1]) for path in (("suite",), ("run_id",), ("measure",), ("primary",))),
        *((drop(("cells", "*", key)), key) for key in ("unsupported", "label", "spec", "decision")),
        (drop(("measure", "launches")), "measure.launches"),
        (lambda run: run.update(schema_version="2"), "'2'"),
        (lambda run: run.update(cells={"x": 3}), "cells.x"),
        (lambda run: run.clear(), "no cells"),
    ],
)
def test_a_description_that_lacks_something_is_refused_with_its_name(sides, change, words, capsys):
    runs.edit_run(sides[0], change)
    assert main(["compare", str(sides[0]), str(sides[1])]) == 4
    said = capsys.readouterr().err
    assert words in said
    assert str(sides[0]) in said


def test_thresholds_of_a_later_version_in_base_are_a_note(sides):
    runs.edit_run(sides[0], lambda run: run.update(gate={"moon_phase": 3}))
    comparison = compare_runs(*sides)
    assert comparison.exit_code == 0
    assert any("moon_phase" in note for note in comparison.notes)
    assert main(["compare", str(sides[1]), str(sides[0])]) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"uncounted_ops": None},
        {"warnings": None},
        {"started_unix_s": None},
        {"floors_ms": 3.0},
        {"floors_ms": []},
        {"duration_s": "long"},
        {"machine_id": ["m"]},
        {"params": "many"},
    ],
)
def test_values_of_another_kind_are_refused_with_their_line(sides, values, capsys):
    runs.edit_launches(sides[1], runs.set_keys(**values), runs.STATIC, "evaluate")
    assert main(["compare", str(sides[0]), str(sides[1])]) == 4
    said = capsys.readouterr().err
    assert next(iter(values)) in said
    assert "launches.jsonl:" in said


@pytest.mark.parametrize("damage", ["cut", "empty", "column", "ragged"])
def test_a_damaged_file_of_samples_is_named(sides, damage, capsys):
    def change(columns):
        if damage == "column":
            return {name: values for name, values in columns.items() if name != "id"}
        rows = columns["statistics.depth"]
        return columns | {"statistics.depth": [rows[0][:-1], *rows[1:]]}

    (path,) = (sides[1] / "samples").glob(f"{runs.cell_id(sides[1], runs.STATIC)}-*.parquet")
    if damage in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 100 if damage == "cut" else 0])
    else:
        runs.edit_samples(sides[1], runs.STATIC, change)
    assert main(["compare", str(sides[0]), str(sides[1])]) == 4
    assert path.name in capsys.readouterr().err


def test_the_same_code_on_both_sides_is_said(sides):
    for run, name in zip(sides, "ab", strict=True):
        runs.edit_run(run, lambda content, name=name: content.update(run_id=name))
        runs.edit_launches(run, runs.set_keys(environment__git_dirty=False, environment__git_commit="c" * 40))
    assert any("same code" in note for note in compare_runs(*sides).notes)
    runs.edit_launches(sides[1], runs.set_keys(environment__git_commit="d" * 40))
    assert not any("same code" in note for note in compare_runs(*sides).notes)


def test_each_of_several_machines_is_named(sides):
    for run in sides:
        mine = (run / "launches.jsonl").read_text()
        runs.edit_launches(run, runs.set_keys(machine_id="other"))
        (run / "launches.jsonl").write_text((run / "launches.jsonl").read_text() + mine)
    found = [f.cell for f in compare_runs(*sides, tiers="exact").findings if f.metric == "params"]
    assert len(found) == len(set(found)) == 10
    assert any(name.endswith(" on other") for name in found)


def test_a_refused_threshold_is_shown_with_what_was_found(sides, tmp_path, capsys):
    for run, start in zip(sides, (1.0e9, 1.0e9 + 5), strict=True):
        runs.add_times(run, start=start, spread=0.2, seed=int(start) % 7)
    report = tmp_path / "out.json"
    options = ["--set", "gate.thresholds.latency_ms=0.1", "--json", str(report)]
    assert main(["compare", str(sides[0]), str(sides[1]), *options]) == 2
    assert "below what this machine can tell" in capsys.readouterr().err
    assert json.loads(report.read_text())["findings"]
