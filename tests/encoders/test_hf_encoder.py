from __future__ import annotations

import json
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import (
    ConvNextV2Config,
    ConvNextV2ForImageClassification,
    Dinov2Config,
    Dinov2Model,
    ResNetBackbone,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    SwinForImageClassification,
)
from transformers.utils import logging

from mtlbench import encoders
from mtlbench.cost.counter import count_call
from mtlbench.cost.units import total_macs
from mtlbench.encoders.hf import HuggingFace
from mtlbench.errors import DataError, UsageError
from mtlbench.heads.base import map_size
from mtlbench.heads.multiscale import MultiScaleHead
from mtlbench.suite.load import load_suite
from mtlbench.suite.plan import plan_suite

SIZE = (64, 96)
RESNET = {"layer_type": "basic", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "embedding_size": 8}
TINY = {
    "resnet": RESNET,
    "swin": {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 4},
    "convnextv2": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]},
    "dinov2": {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 16},
}


VITPOSE = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": [16, 16]}


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    """An empty cache of the Hub, wherever the tests run."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)


def options(model, **more):
    return {"model": model, "config": TINY[model]} | more


def saved(folder, model):
    """A model as `save_pretrained` writes it, with weights away from their start values."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.trunc_normal_(parameter, mean=parameter.mean().item(), std=0.1)
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    model.eval().save_pretrained(folder)
    if bar:
        logging.enable_progress_bar()
    return str(folder)


@pytest.fixture
def resnet(tmp_path):
    """(folder, model) of a small classifier."""
    model = ResNetForImageClassification(ResNetConfig(**RESNET))
    return saved(tmp_path / "resnet", model), model


def backbone_maps(model, x):
    """What the same weights give through transformers' own backbone."""
    config = ResNetConfig(**RESNET, out_indices=[1, 2, 3, 4])
    backbone = ResNetBackbone(config).eval()
    backbone.load_state_dict(model.resnet.state_dict())
    return backbone(x).feature_maps


@pytest.mark.parametrize("model", TINY)
def test_maps_are_as_channels_and_strides_say(model):
    torch.manual_seed(0)
    resolved = HuggingFace.resolve(options(model))
    assert HuggingFace.refuse_size(SIZE, resolved) is None
    net = HuggingFace(SIZE, **resolved).eval()
    with torch.inference_mode():
        maps, count = count_call(net, torch.rand(2, 3, *SIZE), parts=dict(net.stages()))
        MultiScaleHead(SIZE, net.channels, net.strides, 3).eval()(maps)
    assert [tuple(x.shape) for x in maps] == [
        (2, channels, SIZE[0] // stride, SIZE[1] // stride)
        for channels, stride in zip(net.channels, net.strides, strict=True)
    ]
    assert net.strides == ((16,) * 4 if model == "dinov2" else (4, 8, 16, 32))
    assert count.by_part == {unit.part: 2 * unit.macs for unit in net.units()}
    assert count.uncounted_ops == []
    assert {"encoder.stem", *(f"encoder.stage.{i}" for i in range(4))} <= {unit.part for unit in net.units()}
    assert all(unit.id.startswith("encoder.") for unit in net.units())


def test_counting_leaves_the_network_as_found():
    net = HuggingFace(SIZE, **options("resnet")).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert net.units() == net.units()
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_whole_configuration_is_identity():
    resolved = HuggingFace.resolve(options("resnet"))
    assert resolved["arch"] == resolved["config"]["model_type"] == "resnet"
    assert resolved["config"]["hidden_act"] == "relu"
    assert resolved["out_indices"] == [1, 2, 3, 4]
    assert "model" not in resolved
    assert HuggingFace.resolve(resolved) == json.loads(json.dumps(resolved)) == resolved
    other = HuggingFace.resolve({"model": "resnet", "config": RESNET | {"embedding_size": 16}})
    assert other != resolved


def test_taps_are_evenly_spaced_and_can_be_chosen():
    assert HuggingFace.resolve({"model": "dinov2"})["out_indices"] == [3, 6, 9, 12]
    assert HuggingFace.resolve({"model": "pvt_v2"})["out_indices"] == [0, 1, 2, 3]
    chosen = HuggingFace(SIZE, **options("resnet", out_indices=[2, 4]))
    assert chosen.strides == (8, 32)
    assert chosen.channels == (16, 32)


def test_a_folder_is_a_place(resnet, tmp_path):
    folder, _ = resnet
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    (copy / "config.json").write_bytes((tmp_path / "resnet" / "config.json").read_bytes())
    assert HuggingFace.resolve({"model": folder}) == HuggingFace.resolve({"model": str(copy)})
    assert HuggingFace.resolve({"model": folder}) == HuggingFace.resolve(options("resnet"))
    assert HuggingFace.places({"model": folder}) == {}


def test_pretrained_weights_are_those_of_the_model(resnet):
    folder, model = resnet
    given = {"model": folder, "pretrained": True}
    resolved, places = HuggingFace.resolve(given), HuggingFace.places(given)
    assert places == {"weights": f"{folder}/model.safetensors"}
    net = HuggingFace(SIZE, **resolved).eval()
    account = net.start(places)
    assert account.missing == ()
    assert account.left_out == {"classifier.1.bias": "classifier", "classifier.1.weight": "classifier"}
    x = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        for found, expected in zip(net(x), backbone_maps(model, x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_file_given_as_weights_is_the_same_start(resnet):
    folder, _ = resnet
    file = f"{folder}/model.safetensors"
    net = HuggingFace(SIZE, **options("resnet"))
    net.start({"weights": file})
    expected = load_file(file)
    for name, value in net.backbone.state_dict().items():
        assert torch.equal(value, expected[f"resnet.{name}"])
    assert HuggingFace.resolve(options("resnet", weights=file)) != HuggingFace.resolve(options("resnet"))


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (SwinForImageClassification(SwinConfig(**TINY["swin"])), "hidden_states_norms"),
        (ConvNextV2ForImageClassification(ConvNextV2Config(**TINY["convnextv2"])), "hidden_states_norms"),
        (Dinov2Model(Dinov2Config(**TINY["dinov2"])), None),
    ],
    ids=["swin", "convnextv2", "dinov2"],
)
def test_pretrained_models_of_other_families(model, kept, tmp_path):
    given = {"model": saved(tmp_path / "model", model), "pretrained": True}
    net = HuggingFace(SIZE, **HuggingFace.resolve(given))
    account = net.start(HuggingFace.places(given))
    assert {name.partition(".")[0] for name in account.missing} == ({kept} if kept else set())
    theirs = {
        name.partition(".")[2]: value for name, value in model.state_dict().items()
    } | model.state_dict()
    for name in account.loaded:
        expected = theirs[name] if name in theirs else theirs[name.partition(".")[2]]
        assert torch.equal(net.backbone.state_dict()[name], expected)


def changed(folder, change):
    file = f"{folder}/model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file)
    return {"weights": file}


CONV = "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop(CONV), "missing from the file: 1"),
        (lambda state: state.update({"resnet.gate.weight": torch.ones(2)}), "unexpected in the file: 1"),
        (lambda state: state.update({CONV: torch.ones(2, 2)}), "of another shape: 1"),
        (lambda state: state[CONV].fill_(float("nan")), "NaN or infinity: 1"),
    ],
)
def test_weights_that_do_not_fit_are_refused(resnet, change, said):
    folder, _ = resnet
    net = HuggingFace(SIZE, **options("resnet"))
    with pytest.raises(DataError, match=said):
        net.start(changed(folder, change))


def test_there_is_no_silent_random_start(resnet):
    folder, _ = resnet
    resolved = HuggingFace.resolve({"model": folder, "pretrained": True})
    with pytest.raises(DataError, match=resolved["weights_sha256"]):
        HuggingFace(SIZE, **resolved).start({})
    with pytest.raises(DataError, match="names no weights"):
        HuggingFace.resolve(options("resnet", pretrained=True))


def test_the_models_own_normalisation_is_taken(resnet, tmp_path):
    folder, _ = resnet
    processor = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "do_normalize": True}
    (tmp_path / "resnet" / "preprocessor_config.json").write_text(json.dumps(processor))
    resolved = HuggingFace.resolve({"model": folder})
    assert HuggingFace.normalisation(resolved) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    chosen = HuggingFace.resolve({"model": folder, "mean": [0.1, 0.1, 0.1]})
    assert HuggingFace.normalisation(chosen) == ((0.1, 0.1, 0.1), (0.2, 0.2, 0.2))
    assert HuggingFace.normalisation(HuggingFace.resolve(options("resnet"))) == (
        HuggingFace.mean,
        HuggingFace.std,
    )


def test_an_absent_name_is_a_sentence_not_a_download(monkeypatch):
    def forbidden(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    for name in ("microsoft/resnet-18", "nobody/nothing", "resnetz", "a b/../c"):
        with pytest.raises(DataError, match="mtlbench downloads nothing"):
            HuggingFace.resolve({"model": name})


def test_a_cached_name_is_found(resnet, tmp_path):
    folder, _ = resnet
    commit = "a" * 40
    repository = tmp_path / "hub" / "models--someone--resnet"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes((tmp_path / "resnet" / name).read_bytes())
    by_name, by_folder = (
        HuggingFace.resolve({"model": model, "pretrained": True}) for model in ("someone/resnet", folder)
    )
    assert by_name == by_folder


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "vit_mae"}, "no model type with a backbone"),
        ({"config": {"model_type": "gpt2"}}, "no backbone of model type 'gpt2'"),
        (
            {"model": "resnet", "config": {"depth": [1]}},
            "has no configuration 'depth'. Did you mean 'depths'",
        ),
        ({"model": "resnet", "config": {"layer_type": "round"}}, "refuses resnet"),
        ({"model": "resnet", "config": {"model_type": "swin"}}, "its config says 'swin'"),
        ({"model": "resnet", "arch": "swin"}, "arch is 'swin'"),
        ({"model": "timm_backbone"}, "no stages"),
    ],
)
def test_what_transformers_cannot_build_is_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        HuggingFace.resolve(wrong)


@pytest.mark.parametrize(
    "wrong", [{}, {"model": "resnet", "pretrained": True, "weights": "x"}, {"models": "resnet"}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        HuggingFace.resolve(wrong)


def test_damaged_configurations_are_refused(resnet, tmp_path):
    folder, _ = resnet
    for content in ("{", "[1]"):
        (tmp_path / "resnet" / "config.json").write_text(content)
        with pytest.raises(DataError, match="no JSON"):
            HuggingFace.resolve({"model": folder})


@pytest.mark.parametrize(
    ("model", "config", "size", "said"),
    [
        ("convnextv2", TINY["convnextv2"], (64, 100), "no whole stride"),
        ("dinov2", TINY["dinov2"] | {"patch_size": 14}, SIZE, "no whole stride"),
        ("vitpose_backbone", VITPOSE, SIZE, "cannot run 64x96"),
    ],
)
def test_sizes_that_a_model_cannot_run_are_refused(model, config, size, said):
    refusal = HuggingFace.refuse_size(size, HuggingFace.resolve({"model": model, "config": config}))
    assert said in refusal
    with pytest.raises(UsageError, match=said):
        HuggingFace(size, model=model, config=config)


def test_fractions_of_a_cell_are_rounded_up():
    net = HuggingFace((50, 100), **options("resnet")).eval()
    assert net.strides == (4, 8, 16, 32)
    head = MultiScaleHead((50, 100), net.channels, net.strides, 3).eval()
    with torch.inference_mode():
        maps = net(torch.rand(1, 3, 50, 100))
        count = count_call(head, maps)[1]
    assert [tuple(x.shape[-2:]) for x in maps] == [map_size((50, 100), stride) for stride in net.strides]
    assert count.macs == total_macs(head.units())


def test_a_model_of_one_size_runs_at_that_size():
    config = VITPOSE | {"image_size": list(SIZE)}
    assert HuggingFace(SIZE, model="vitpose_backbone", config=config).strides == (16,) * 4


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"pip install 'mtlbench\[hf\]'"):
        HuggingFace.resolve({"model": "resnet"})


def test_a_suite_names_a_model_after_a_colon(tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.registry._targets, "hf", HuggingFace)
    path = tmp_path / "suite.yaml"
    path.write_text(
        "suite: s\ndatasets: {name: scenes, size: [64, 96]}\ntasks: [depth]\n"
        "encoders: [hf:resnet, {name: vit, arch: nano}]\nvariants: [static_mtl]\n"
    )
    suite = load_suite(str(path))
    assert suite.encoders[0].options == HuggingFace.resolve({"model": "resnet"})
    cells = [cell for cell in plan_suite(suite).cells if cell.problem.encoder.name == "hf"]
    assert cells
    assert all(cell.unsupported is None and cell.labels["encoder"] == "hf-resnet" for cell in cells)
    saved_suite = tmp_path / "saved.yaml"
    saved_suite.write_text(suite.resolved())
    assert plan_suite(load_suite(str(saved_suite))).cells[0].id == plan_suite(suite).cells[0].id
