from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mtlbench.encoders.weights import OWN, Account, Checkpoint, Layout, Rule, describe, fit_weights
from mtlbench.errors import DataError

JOINED = Layout(
    "joined",
    (
        Rule(r"stem\.(weight|bias)", r"0.\1"),
        Rule(r"top\.(weight|bias)", r"1.\1"),
        *(Rule(rf"{part}\.(weight|bias)", r"1.\1", part=i, parts=2) for i, part in enumerate(["up", "down"])),
    ),
    left_out=((r"head\..+", "classifier"),),
    optional=(r"1\.bias",),
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4))


def state(**changes):
    values = {
        "stem.weight": torch.full((2, 3), 1.0),
        "stem.bias": torch.full((2,), 2.0),
        "top.weight": torch.full((4, 2), 3.0),
        "top.bias": torch.full((4,), 4.0),
        "head.weight": torch.zeros(9),
    }
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in values.items() if value is not None}


def fit(tensors, net=None, layouts=(OWN, JOINED)):
    net = net or network()
    return fit_weights(
        net, Checkpoint(Path("dir/file.pth"), tensors, ("read well",)), "ab" * 32, "toy", layouts
    )


def refusal(tensors):
    """The message, after checking that nothing was loaded."""
    net, fresh = network(), network()
    with pytest.raises(DataError) as caught:
        fit(tensors, net)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), fresh.parameters(), strict=True))
    return str(caught.value)


def test_every_key_and_every_parameter_is_accounted_for():
    net, tensors = network(), state(top__bias=None)
    before = net[1].bias.clone()
    account = fit(tensors, net)
    assert account == Account(
        file="file.pth",
        sha256="ab" * 32,
        layout="joined",
        loaded=("0.weight", "0.bias", "1.weight"),
        left_out={"head.weight": "classifier"},
        missing=("1.bias",),
        notes=("read well",),
    )
    assert net[0].weight.eq(1).all()
    assert net[1].weight.eq(3).all()
    assert torch.equal(net[1].bias, before)


def test_the_account_reads_well():
    account = Account(
        "vit.pth", "0123456789abcdef", "timm ViT under 'model.'", ("a", "b"), {"pos": "2x2 to 3x3 patches"},
        {"head.weight": "classifier", "head.bias": "classifier"}, ("c",), (), ("converted from float16 to float32",),
    )  # fmt: skip
    assert describe(account).splitlines() == [
        "vit.pth (SHA-256 0123456789ab), read as timm ViT under 'model.'",
        "  loaded: 3 of 4 parameters and buffers",
        "  resized: pos, 2x2 to 3x3 patches",
        "  not in the file, kept at their start values: 1 (c)",
        "  left out (classifier): 2 (head.weight, head.bias)",
        "  note: converted from float16 to float32",
    ]


def test_pieces_are_joined_in_their_order_not_in_that_of_the_file():
    net = network()
    pieces = {"down.weight": torch.full((2, 2), 6.0), "up.weight": torch.full((2, 2), 5.0)}
    fit(state(top__weight=None) | pieces, net)
    assert net[1].weight[:, 0].tolist() == [5, 5, 6, 6]


def test_a_planted_key_is_refused():
    assert "unexpected in the file: 1 (gate.weight)" in refusal(state(gate__weight=torch.zeros(2)))


def test_a_missing_key_is_refused():
    assert "missing from the file: 1 (0.bias)" in refusal(state(stem__bias=None))


def test_a_renamed_key_is_refused_and_its_likeness_named():
    named = {name: value.clone() for name, value in network().state_dict().items()}
    named["0.weigth"] = named.pop("0.weight")
    message = refusal(named)
    assert "0.weigth, like 0.weight" in message
    assert "nearest layout: the encoder's own names" in message


def test_a_wrong_shape_is_refused():
    assert "0.weight is [2, 4], not [2, 3]" in refusal(state(stem__weight=torch.zeros(2, 4)))
    assert "1.weight is [4], not [4, 2]" in refusal(state(top__weight=torch.zeros(4)))


def test_pieces_that_do_not_go_together_are_refused():
    lone = {"up.weight": torch.zeros(2, 2)}
    assert "up.weight" in refusal(state(top__weight=None) | lone)
    uneven = lone | {"down.weight": torch.zeros(2, 3)}
    assert "1.weight is in pieces of [2, 2], [2, 3]" in refusal(state(top__weight=None) | uneven)


def test_two_keys_for_one_parameter_are_refused():
    assert "up.weight" in refusal(state(up__weight=torch.zeros(4, 2)))


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(poison):
    assert "NaN or infinity: 1 (0.bias)" in refusal(state(stem__bias=torch.tensor([1.0, poison])))
    fit(state(head__weight=torch.tensor([poison])))  # left out, so it harms nobody


def test_long_lists_are_cut():
    message = refusal(state(**{f"gate{i}": torch.zeros(1) for i in range(25)}))
    assert "unexpected in the file: 25 (gate0," in message
    assert "gate9 and 15 more)" in message


def test_weights_of_something_else_are_refused_with_the_known_layouts():
    message = refusal({"text.embedding": torch.zeros(2)})
    assert "no weights of toy" in message
    assert "the encoder's own names, joined" in message


def test_keys_outside_the_prefix_are_left_out():
    tensors = {f"model.backbone.{key}": value for key, value in state().items()} | {
        "neck.weight": torch.zeros(1)
    }
    account = fit(tensors)
    assert account.layout == "joined under 'model.backbone.'"
    assert account.left_out["neck.weight"] == "outside 'model.backbone.'"
    assert account.left_out["model.backbone.head.weight"] == "classifier"


def test_two_encoders_in_one_file_are_refused():
    tensors = {f"{who}.{key}": value for who in ("student", "teacher") for key, value in state().items()}
    assert "several encoders: under 'student.', 'teacher.'" in refusal(tensors)


def test_the_type_of_the_parameter_is_kept():
    net = nn.Sequential(nn.BatchNorm2d(2))
    tensors = {key: value.double() for key, value in net.state_dict().items()}
    fit(tensors, net)
    assert net[0].num_batches_tracked.dtype == torch.int64
    assert net[0].weight.dtype == torch.float32
