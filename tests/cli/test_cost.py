"""`mtlbench cost`: its numbers, its words, its exit codes, in terminals of 80 columns and in pipes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from mtlbench import variants
from mtlbench.cli.cost import cost_command
from mtlbench.errors import SuiteError, UsageError
from mtlbench.variants.network import DenseRunnable
from mtlbench.variants.static_mtl import StaticMTL

SUITE = """
suite: small
datasets: {name: scenes, size: [32, 32], train: 4, val: 2, test: 4}
tasks: [semseg, depth]
encoders: {name: vit, arch: nano, patch: 16}
head: {name: multiscale, width: 8}
variants: [static_mtl]
baselines: []
training: random
seeds: [0, 1]
hardware: [{threads: 1}, {threads: 1, batch: 2}]
measure: {inputs: 2}
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SUITE)
    return str(path)


class WrongFormula(StaticMTL):
    """Its closed form forgets the heads."""

    name = "wrong_formula"
    family = "wrong_formula"

    def configure(self, point, tasks=None, mode=None, device="cpu"):
        return Forgetful([(self._network, tuple(tasks or self.problem.task_names))], device)


class Forgetful(DenseRunnable):
    def units(self):
        return [unit for unit in super().units() if unit.part.startswith("encoder")]


class Spectral(StaticMTL):
    """Most of its time goes into transforms that have no formula."""

    name = "spectral"
    family = "spectral"

    def configure(self, point, tasks=None, mode=None, device="cpu"):
        return Transforming([(self._network, tuple(tasks or self.problem.task_names))], device)


class Transforming(DenseRunnable):
    def __call__(self, x, decisions=None):
        height, width = x.shape[-2:]
        for _ in range(5):
            x = torch.fft.ifft2(torch.fft.fft2(x, s=(1024, 1024))).real[..., :height, :width]
        return super().__call__(x)


@pytest.fixture
def third_party(monkeypatch):
    """Registers a variant for one test."""

    def add(kind):
        monkeypatch.setitem(variants.registry._targets, kind.name, kind)

    return add


def test_every_distinct_network_is_audited_once(suite, tmp_path, capsys):
    out = tmp_path / "cost.json"
    assert cost_command(suite, [], None, out) == 0
    printed = capsys.readouterr().out
    assert printed.count("static_mtl/scenes/vit-nano/semseg+depth") == 1
    (network,) = json.loads(out.read_text())["networks"]
    assert network["macs_executed"] == network["macs_formula"] == network["macs_nominal"]
    assert network["macs_executed_by_image"] == [network["macs_formula"]] * 4
    assert sum(part["macs_executed"] for part in network["parts"]) == network["macs_executed"]
    assert {tool: entry["failure"] for tool, entry in network["tools"].items()} == {
        "fvcore": "",
        "ptflops": "",
        "torch": "",
    }
    for entry in network["tools"].values():
        assert entry["macs"] == network["macs_executed"] + sum(d["macs"] for d in entry["differences"])
    for words in ("executed, by our counter", "fvcore", "ptflops", "torch FlopCounterMode", "head.depth"):
        assert words in printed
    assert f"{network['macs_formula']:,}" in printed
    assert "the first 4 test images of scenes" in printed
    assert re.search(r"closed form +[\d,]+ +equal", printed)


@pytest.mark.slow
def test_output_fits_80_columns_and_is_plain_in_a_pipe(suite, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    overrides = ["datasets.size=[224, 224]", "encoders={name: vit, arch: base, patch: 32}"]
    cost_command(suite, overrides, None, tmp_path / "cost.json")
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "\x1b" not in printed
    (network,) = json.loads((tmp_path / "cost.json").read_text())["networks"]
    counts = [op["macs"] for op in network["operators"]] + [
        part["macs_executed"] for part in network["parts"][-2:]
    ]
    assert max(counts) > 1e9
    for macs in (*counts, network["macs_formula"]):
        assert f"{round(macs):,}" in printed or not macs, "names may be cut short, numbers never"


def test_parts_that_differ_in_number_only_are_one_row(suite, capsys):
    cost_command(suite, [], None)
    printed = capsys.readouterr().out
    assert re.search(r"encoder\.block\.0 to 5: 6 x [\d,]+ +[\d,]+ +[\d.]+% +equal", printed)
    assert "encoder.block.3" not in printed


def test_overrides_and_only_choose_the_networks(suite, tmp_path, capsys):
    out = tmp_path / "cost.json"
    assert cost_command(suite, ["variants=[static_mtl,single_task]"], "single_task*", out) == 0
    capsys.readouterr()
    labels = [network["label"] for network in json.loads(out.read_text())["networks"]]
    assert labels == ["single_task/scenes/vit-nano/semseg+depth"]
    with pytest.raises(UsageError, match="matches no cell"):
        cost_command(suite, [], "nothing-like-it")
    with pytest.raises(SuiteError):
        cost_command(suite, ["encoders.name=vitt"], None)


def test_without_the_data_the_images_are_random_and_it_says_so(suite, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "empty"))
    overrides = ["datasets={name: clothing, size: [96, 64]}", "tasks=all"]
    assert cost_command(suite, overrides, None) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "counted on random images of 96 x 64, because" in printed
    assert "human_parts" in printed


def test_what_cannot_be_run_is_named_and_skipped(suite, capsys):
    assert cost_command(suite, ["datasets.size=[36, 36]"], None) == 0
    assert "multiples of its patch" in capsys.readouterr().out


def test_a_static_network_that_costs_something_else_is_exit_4(suite, third_party, capsys):
    third_party(WrongFormula)
    assert cost_command(suite, ["variants=[wrong_formula]"], None) == 4
    assert "DISAGREES" in capsys.readouterr().out


def test_a_refused_total_is_exit_4_and_names_the_operators(suite, third_party, capsys):
    third_party(Spectral)
    assert cost_command(suite, ["variants=[spectral]"], None) == 4
    printed = capsys.readouterr().out
    assert "REFUSED" in printed
    assert "executed, by our counter, at least" in printed
    assert re.search(r"_fft_c2c: no formula", printed)


def test_a_file_that_cannot_be_written_is_a_usage_error(suite, capsys):
    with pytest.raises(UsageError, match="cannot be written"):
        cost_command(suite, [], None, Path("/proc/nothing/cost.json"))


def test_the_example_in_the_docs_is_what_is_printed(capsys):
    page = (Path(__file__).parents[2] / "docs/cost.md").read_text()
    example = page.split("```text\n")[1].split("```")[0].splitlines()
    assert cost_command("ci", [], "static_mtl*") == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    start = printed.index(example[0])
    assert printed[start : start + len(example)] == example
