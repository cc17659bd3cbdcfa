"""What can be known before any work is said before any work: weights, amounts of data, devices, meters."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from mtlbench import api
from mtlbench.__main__ import main
from mtlbench.encoders.vit import ViT
from mtlbench.execute.process import WorkerPool
from mtlbench.measure.energy import select_meter
from mtlbench.training.cache import ArtifactCache

SUITE = """
suite: tiny
datasets: {name: scenes, size: [32, 32], train: 8, val: 2, test: 4}
tasks: [depth]
encoders: {name: vit, arch: nano, WEIGHTS}
variants: [static_mtl]
training: TRAINING
measure: {inputs: 2, launches: 1}
"""


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a worker was started")

    monkeypatch.setattr(WorkerPool, "run", refuse)


def suite_with(folder: Path, weights: str = "patch: 16", training: str = "{epochs: 1, batch: 4}") -> str:
    path = folder / "tiny.yaml"
    path.write_text(SUITE.replace("WEIGHTS", weights).replace("TRAINING", training))
    return str(path)


def told(capsys, *arguments: str, code: int) -> str:
    assert main([*arguments]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err + captured.out


def run_commands(folder: Path) -> list[list[str]]:
    return [["--dry-run", "--out", str(folder / "run")], ["--out", str(folder / "run")]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("weights: nowhere.pth", "no weights file 'nowhere.pth'"),
        (f"weights: {'long' * 100}.pth", "no weights file"),
        ("weights: /proc/self/mem", "cannot be read"),
        (f"weights: tiny.yaml, weights_sha256: {'a' * 64}", f"the options say {'a' * 64}"),
    ],
)
def test_weights_that_are_not_there_are_found_by_validate(tmp_path, monkeypatch, capsys, given, words):
    monkeypatch.chdir(tmp_path)
    suite = suite_with(tmp_path, given)
    errors = told(capsys, "validate", suite, code=2)
    assert f"{suite}:5:11: " in errors
    assert words in errors


@pytest.mark.parametrize("training", ["{epochs: 1, batch: 4}", "random"])
def test_weights_that_do_not_fit_are_found_before_any_work(tmp_path, capsys, training):
    file = tmp_path / "vit.pth"
    state = ViT((32, 32), arch="nano", patch=16).state_dict()
    for content, words in (
        ({**state, "odd": state["patch_embed.bias"]}, "unexpected in the file: 1 (odd)"),
        (
            {key: value for key, value in state.items() if key != "patch_embed.bias"},
            "missing from the file: 1",
        ),
        ({"w": torch.zeros(1)}, "these are no weights of vit"),
    ):
        torch.save(content, file)
        suite = suite_with(tmp_path, f"patch: 16, weights: {file}", training)
        for arguments in run_commands(tmp_path):
            errors = told(capsys, "run", suite, *arguments, code=2)
            assert f"{file}: " in errors
            assert words in errors
    file.write_text("no weights at all")
    for arguments in run_commands(tmp_path):
        assert "its bytes are no pickle" in told(capsys, "run", suite, *arguments, code=2)
    torch.save(state, file)
    told(capsys, "run", suite, *run_commands(tmp_path)[0], code=0)


@pytest.mark.parametrize("how", [[], ["--fresh"]], ids=str)
def test_weights_that_do_not_fit_cost_nothing_that_was_there(tmp_path, monkeypatch, capsys, how):
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "vit.pth"
    torch.save({"w": torch.zeros(1)}, file)
    suite = suite_with(tmp_path, f"patch: 16, weights: {file}")
    kept = {tmp_path / "run" / name: f"{name} of before" for name in ("run.json", "cells.csv")}
    if how:  # else what is trained is taken, and no network starts from the file
        for artifact in api.prepare(suite).wanted():
            stored = ArtifactCache().store(artifact, {"w": torch.zeros(1)}, {})
            kept[stored.record_file] = stored.record_file.read_text()
    (tmp_path / "run").mkdir()
    for path, words in kept.items():
        path.write_text(words)
    errors = told(capsys, "run", suite, "--out", str(tmp_path / "run"), *how, code=2)
    assert "these are no weights of vit" in errors
    assert {path: path.read_text() for path in kept} == kept


def test_a_hash_without_its_file_is_enough_to_plan_and_not_to_train(tmp_path, capsys):
    suite = suite_with(tmp_path, f"patch: 16, weights_sha256: {'a' * 64}")
    told(capsys, "validate", suite, code=0)
    for arguments in run_commands(tmp_path):
        assert "but no file is given" in told(capsys, "run", suite, *arguments, code=2)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        (
            "measure.inputs=5",
            "problem: 2 cells: 5 calls of 1 images need 5 test images, scenes has 4; lower measure",
        ),
        (
            "training.batch=9",
            "problem: 2 cells: a training step takes 9 images, scenes has 8 for training; lower",
        ),
        ("hardware={device: 'cuda:77'}", "unsupported: 2 cells: no device cuda:77 on this machine"),
        ("hardware={threads: 1024}", "unsupported: 2 cells: 1024 threads on a machine with"),
    ],
)
def test_what_cannot_be_run_here_is_said_and_no_success(tmp_path, capsys, setting, line):
    suite = suite_with(tmp_path)
    out = str(tmp_path / "run")
    printed = told(capsys, "run", suite, "--dry-run", "--out", out, "--set", setting, code=4)
    assert any(words.startswith(line) for words in printed.splitlines())
    assert "nothing that is asked for can be measured here" in printed
    printed = told(capsys, "run", suite, "--out", out, "--set", setting, code=4)
    assert "unsupported: 2 cells: " in printed
    assert "nothing that was asked for could be measured" in printed
    assert set(pd.read_csv(tmp_path / "run" / "cells.csv")["status"]) == {"unsupported"}


def test_one_test_image_is_no_bootstrap(tmp_path, capsys):
    settings = ["--set", "datasets.test=1", "--set", "measure.inputs=1"]
    printed = told(capsys, "run", suite_with(tmp_path), "--dry-run", *settings, code=0)
    assert "problem: scenes has 1 test image, too few for intervals of quality" in printed


def test_one_way_that_runs_is_enough_for_a_plan(tmp_path, capsys):
    setting = "hardware=[{device: 'cuda:77'}, {device: cpu}]"
    printed = told(capsys, "run", suite_with(tmp_path), "--dry-run", "--set", setting, code=0)
    assert "unsupported: 2 cells: no device cuda:77 on this machine" in printed
    assert "nothing that" not in printed


def test_a_dry_run_says_why_there_is_no_energy(tmp_path, capsys):
    printed = told(
        capsys, "run", suite_with(tmp_path), "--dry-run", "--set", "measure.energy=unmetered", code=0
    )
    assert f"no energy on cpu: {select_meter('unmetered').unavailable()}" in printed


def test_all_typos_of_a_suite_are_told_at_once(tmp_path, capsys):
    path = tmp_path / "typos.yaml"
    path.write_text(
        "suite: typos\n"
        "datasets: {name: scenes, sise: [32, 32]}\n"
        "tasks: [depht]\n"
        "encoders: [{name: vitt}, {name: vit, arch: nano, patch: eight}]\n"
        "variants: [static_mtl]\n"
        "measure: {launchs: 3, inputs: 0}\n"
    )
    assert told(capsys, "validate", str(path), code=2).replace(f"{tmp_path}/", "").splitlines() == [
        "mtlbench: 6 problems",
        "  typos.yaml:6:11: unknown key 'launchs'. Did you mean 'launches'.",
        "  typos.yaml:6:31: inputs must be at least 1, got 0",
        "  typos.yaml:3:9: unknown task 'depht'. Did you mean 'depth'.",
        "  typos.yaml:2:26: unknown key 'sise'. Did you mean 'size'.",
        "  typos.yaml:4:19: unknown encoder 'vitt'. Did you mean 'vit'.",
        "  typos.yaml:4:57: patch must be a whole number, got 'eight'",
    ]
