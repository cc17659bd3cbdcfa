"""Checkpoints of the released code as a user gives them: what they are, what they replace, and which are refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from mtlbench import variants
from mtlbench.__main__ import main
from mtlbench.errors import DataError, MtlbenchError, UsageError
from mtlbench.execute.process import WorkerPool
from mtlbench.training.artifact import Named, Problem, Source
from mtlbench.training.loop import train
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.variants.adamtl.network import build_adaptive

COMPAT = variants.registry.get("adamtl_compat")
OPTIONS = {"hidden": 4, "checkpoint_budget": 0.7}
SWIN = {"dim": 4, "depths": [1, 1, 1, 1], "heads": [1, 1, 1, 1], "patch": 4, "window": 2}
PROBLEM = Problem(
    (32, 32),
    Named("swin", {**SWIN, "maps": "after_merging", "tap_norms": False}),
    Named("adamtl", {"width": 4, "layout": "released"}),
    (Named("depth"), Named("saliency")),
)
SOURCE = Source(Named("scenes"), "data", TrainingProtocol(epochs=1).model_dump(mode="json"), 0)
POINT = {"budget": 0.7}


def released(problem=PROBLEM, seed=0, **options):
    """A network of ours with random weights, and those by the released names."""
    settings = COMPAT.Options.model_validate({**OPTIONS, **options})
    network = build_adaptive(problem, settings, seed, [])
    for table in (p for name, p in network.named_parameters() if name.endswith("bias_table")):
        torch.nn.init.normal_(table, generator=torch.Generator().manual_seed(seed))
    state = {}
    for name, value in network.state_dict().items():
        if name != "calibration":
            state[_released_name(name.replace("saliency", "sal"))] = value
    return network, state


def _released_name(name):
    task = r"heads\.(\w+)\."
    name = re.sub(rf"{task}refine\.(\d)\.0\.shortcut", r"decoders.\1.fuse.\2.2.downsample", name)
    name = re.sub(rf"{task}refine\.(\d)\.0", r"decoders.\1.fuse.\2.2", name)
    name = re.sub(rf"{task}refine\.(\d)\.1", r"decoders.\1.fuse.\2.3", name)
    for ours, theirs in (("fuse", "0"), ("norm", "1"), ("predict", "3")):
        name = re.sub(rf"{task}{ours}", rf"decoders.\1.segment.{theirs}", name)
    name = re.sub(r"^encoder", "backbone", name)
    name = re.sub(r"block_policies\.(\d)\.scorers\.all", r"layers_controllers.\1", name)
    name = re.sub(r"block_policies\.(\d)\.scorers\.(\w+)", r"layers_controllers.\2.\1", name)
    name = re.sub(r"token_policies\.(\d)\.scorers\.all", r"layers.\1.tokens_select", name)
    name = re.sub(r"token_policies\.(\d)\.scorers\.(\w+)", r"layers.\1.tokens_select.\2", name)
    return name.replace("policies.", "backbone.")


def saved(file: Path, **how) -> Path:
    file.parent.mkdir(exist_ok=True)
    torch.save({"model": released(**how)[1], "epoch": 3}, file)
    return file


@pytest.fixture
def checkpoint(tmp_path):
    return saved(tmp_path / "a" / "ckpt.pth")


def made(file, problem=PROBLEM, **options):
    """The variant as a suite makes it: options that identify it, and where its file is."""
    given = {**OPTIONS, "checkpoint": str(file), **options}
    return COMPAT(problem, **COMPAT.resolve(given), **COMPAT.places(given))


# Identity


def test_the_content_is_identity_and_the_place_is_not(checkpoint, tmp_path, monkeypatch):
    copy = tmp_path / "b" / "copy.pth"
    copy.parent.mkdir()
    copy.write_bytes(checkpoint.read_bytes())
    other = saved(tmp_path / "c" / "ckpt.pth", seed=1)
    resolved = [COMPAT.resolve({"checkpoint": str(file)}) for file in (checkpoint, copy, other)]
    assert resolved[0] == resolved[1] != resolved[2]
    assert "checkpoint" not in resolved[0]
    assert resolved[0]["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert COMPAT.resolve(resolved[0]) == resolved[0]
    assert COMPAT.resolve({})["checkpoint_sha256"] is None
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert COMPAT.places({"checkpoint": "a/ckpt.pth", "hidden": 4}) == {"checkpoint": str(checkpoint)}
    assert COMPAT.places({"hidden": 4}) == {}


def test_another_or_no_file_is_refused_when_planning(checkpoint):
    with pytest.raises(DataError, match=f"the options say {'a' * 64}"):
        COMPAT.resolve({"checkpoint": str(checkpoint), "checkpoint_sha256": "a" * 64})
    with pytest.raises(DataError, match="there is no file /nowhere"):
        COMPAT.resolve({"checkpoint": "/nowhere.pth"})
    for wrong in ({"checkpoint_sha256": "12"}, {"checkpoint_budget": 1.0}, {"checkpoint_budget": 0.0}):
        with pytest.raises(ValidationError):
            COMPAT.resolve(wrong)


# In the place of training


def test_it_is_one_artifact_without_parents(checkpoint):
    variant = made(checkpoint)
    digest = COMPAT.resolve({"checkpoint": str(checkpoint)})["checkpoint_sha256"]
    for budget in (1.0, 0.7):
        (artifact,) = variant.artifacts({"budget": budget}, SOURCE)
        assert (artifact.variant, artifact.stage, artifact.parents) == ("adamtl_compat", "released", {})
        assert artifact.options["checkpoint_sha256"] == digest
        assert str(checkpoint.parent) not in json.dumps(artifact.specification())
        assert artifact.key == variant.artifacts(POINT, SOURCE)[0].key
    (trained,) = made(checkpoint, checkpoint=None).artifacts(POINT, SOURCE)
    assert (trained.stage, trained.options["checkpoint_sha256"]) == ("joint", None)


def test_it_is_loaded_and_not_trained(checkpoint):
    variant = made(checkpoint)
    recipe = variant.recipe(variant.artifacts(POINT, SOURCE)[0])
    protocol = TrainingProtocol(epochs=1)
    assert recipe.protocol(protocol) is None
    result = train(recipe, protocol, {}, None, None, seed=5, parents={}, normalise=lambda x: x)
    expected = released()[0].state_dict()
    assert (result.best_epoch, result.history) == (0, [])
    assert result.state.keys() == expected.keys()
    assert all(torch.equal(result.state[n], v) for n, v in expected.items() if n != "calibration")
    with pytest.raises(MtlbenchError, match="has no losses"):
        recipe.losses(recipe.network({}, 0), torch.zeros(1), {}, 0.0)


@pytest.mark.parametrize("budget", [1.0, 0.7])
def test_stored_or_from_its_file_it_is_the_same_network(checkpoint, budget):
    point, x = {"budget": budget}, torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    source, state = released()[0], made(checkpoint).recipe(made(checkpoint).artifacts(POINT, SOURCE)[0])
    outputs = []
    for weights in (None, [state.network({}, 0).state_dict()], [source.state_dict()]):
        variant = made(checkpoint)
        variant.build(point, 0, weights)
        with torch.inference_mode():
            outputs.append(variant.configure(point)(x)[0])
    for name in PROBLEM.task_names:
        assert torch.equal(outputs[0][name], outputs[1][name])
        assert torch.equal(outputs[0][name], outputs[2][name])


def test_it_has_one_budget_below_full_compute(checkpoint):
    variant = made(checkpoint)
    assert variant.refuse({"budget": 1.0}) is None
    assert variant.refuse({"budget": 0.7}) is None
    assert "which is 0.7 (option checkpoint_budget), not a budget of 0.8" in variant.refuse({"budget": 0.8})
    unsaid = made(checkpoint, checkpoint_budget=None)
    assert unsaid.refuse({"budget": 1.0}) is None
    assert "which is not said (option checkpoint_budget)" in unsaid.refuse({"budget": 0.7})
    assert COMPAT(PROBLEM, **OPTIONS).refuse({"budget": 0.8}) is None, "where something is trained, any"


# What does not fit


def test_what_fits_is_accepted_and_nothing_is_needed_without_a_checkpoint(checkpoint):
    made(checkpoint).try_weights()
    COMPAT(PROBLEM, **OPTIONS).try_weights()


@pytest.mark.parametrize(
    ("problem", "options", "said"),
    [
        (PROBLEM.only("depth"), {}, "they are for the tasks depth, saliency, the network for depth."),
        (
            replace(PROBLEM, size=(64, 64)),
            {},
            "their block policy looks at 64 tokens of stage 0, the network's at 256",
        ),
        (PROBLEM, {"policy": "tag"}, "each of depth, saliency and a token policy"),
        (PROBLEM, {"gates": "blocks"}, "the network has a block policy for each of depth, saliency. Set"),
        (PROBLEM, {"hidden": 8}, "of another shape"),
        (
            replace(PROBLEM, encoder=Named("vit", {"arch": "nano", "patch": 8})),
            {},
            "do not fit the network",
        ),
        (replace(PROBLEM, head=Named("multiscale", {"width": 4})), {}, "do not fit the network"),
        (replace(PROBLEM, head=Named("adamtl", {"width": 4})), {}, "layout` to `released`"),
    ],
)
def test_a_network_that_it_was_not_made_for_is_refused(checkpoint, problem, options, said):
    with pytest.raises(UsageError) as caught:
        made(checkpoint, problem, **options).try_weights()
    assert str(caught.value).startswith(f"{checkpoint}: ")
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_changed_or_is_gone_is_refused(checkpoint, tmp_path):
    variant = made(checkpoint)
    saved(checkpoint, seed=1)
    with pytest.raises(DataError, match="the options say"):
        variant.try_weights()
    with pytest.raises(DataError, match="the options say"):
        variant.build(POINT, 0, None)
    checkpoint.unlink()
    with pytest.raises(DataError, match="there is no file"):
        variant.try_weights()
    with pytest.raises(DataError, match=f"with SHA-256 {'a' * 64} is to be loaded, but no file is given"):
        COMPAT(PROBLEM, **OPTIONS, checkpoint_sha256="a" * 64).try_weights()


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(2)}, file)
    with pytest.raises(DataError, match=r"other\.pth: these are no weights of AdaMTL's released code"):
        made(file).try_weights()


# From the command line

SUITE = """
suite: released
datasets: {{name: scenes, size: [32, 32], train: 8, val: 2, test: 4}}
tasks: {tasks}
encoders: {{name: swin, dim: 4, depths: [1, 1, 1, 1], heads: [1, 1, 1, 1], patch: 4, window: 2, maps: after_merging,
           tap_norms: false}}
head: {{name: adamtl, width: 4, layout: released}}
variants:
  - {{name: adamtl_compat, hidden: 4, checkpoint: {file}, checkpoint_budget: 0.7, axes: {{budget: [1.0, 0.7]}}}}
baselines: []
training: {training}
measure: {{inputs: 2, launches: 1}}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A function that runs a suite, where no worker may start, and gives back what was said."""
    monkeypatch.setattr(WorkerPool, "run", lambda *_, **__: pytest.fail("a worker was started"))
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))

    def go(file, *arguments, code, tasks="[depth, saliency]", training="{epochs: 1, batch: 4}"):
        suite = tmp_path / "released.yaml"
        suite.write_text(SUITE.format(file=file, tasks=tasks, training=training))
        assert main(["run", str(suite), "--out", str(tmp_path / "run"), *arguments]) == code
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert not list((tmp_path / "cache").glob("artifacts/*"))
        return told.err + told.out

    return go


@pytest.mark.parametrize("training", ["{epochs: 1, batch: 4}", "random"])
def test_what_does_not_fit_is_said_before_any_work(checkpoint, run, training):
    for arguments in (["--dry-run"], []):
        said = run(checkpoint, *arguments, code=2, tasks="[depth]", training=training)
        assert said.count("they are for the tasks depth, saliency, the network for depth") == 1
        assert str(checkpoint) in said


def test_a_file_that_is_not_there_is_said_with_its_place_in_the_suite(run):
    assert "released.yaml:9:5: no weights file '/nowhere.pth'" in run("/nowhere.pth", code=2)


def test_a_plan_loads_the_checkpoint_once_for_both_budgets(checkpoint, run):
    said = run(checkpoint, "--dry-run", code=0)
    assert said.count("adamtl_compat:released") == 1
    assert "adamtl_compat:joint" not in said
