from __future__ import annotations

import re

import pytest
import torch

from mtlbench.cost.operators import macs_formula
from mtlbench.cost.zero_macs import ZERO_MACS, zero_reason

OVERLOADS: dict[str, list[str]] = {}
for _name in torch._C._dispatch_get_all_op_names():
    if _name.startswith("aten::"):
        OVERLOADS.setdefault(_name.removeprefix("aten::").partition(".")[0], []).append(_name)


def overloads(name):
    return OVERLOADS.get(name, []) + OVERLOADS.get(f"{name}_", [])


def has_kernel(overload, key):
    return torch._C._dispatch_has_kernel_for_dispatch_key(overload, key)


@pytest.mark.parametrize("name", ZERO_MACS)
def test_every_name_is_an_operator_with_a_kernel_of_its_own(name):
    assert overloads(name), "no such operator"
    assert any(
        not has_kernel(overload, "CompositeImplicitAutograd")
        or any(has_kernel(overload, key) for key in ("CPU", "CUDA"))
        or name == "_fused_rms_norm"  # its kernel exists in builds with CUDA only
        or has_kernel(overload, "ADInplaceOrView")  # a composite view that the counter leaves whole
        for overload in overloads(name)
    ), "composite: the counter takes it apart"


def test_nothing_is_listed_that_multiplies_matrices():
    assert not [name for name in ZERO_MACS if macs_formula(f"aten::{name}")]
    products = re.compile(
        r"(^|[_bd])mm|(^|[_d])mv$|matmul|conv(?!ert)|dot_product|attention|cdist|fft|einsum|lstm|gru"
    )
    assert {name for name in ZERO_MACS if products.search(name)} == {
        "_thnn_fused_gru_cell",  # the gates only, after their products
        "_thnn_fused_lstm_cell",
        "fft_fftfreq",  # frequencies, no transform
        "fft_rfftfreq",
        "mkldnn_reorder_conv2d_weight",  # copies
        "mkldnn_reorder_conv3d_weight",
    }


def test_names_are_looked_up_with_namespace_and_in_place_form():
    assert zero_reason("aten::add") == zero_reason("aten::add_") == "arithmetic"
    assert zero_reason("aten::__lshift__") == "arithmetic"
    assert zero_reason("aten::upsample_bilinear2d") == "interpolation"
    assert zero_reason("aten::mm") is None
    assert zero_reason("mylib::add") is None
    assert zero_reason("aten::_cdist_forward") is None
