"""Networks and calls with the MACs that they have by hand, for a batch of B."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

N, D, H = 10, 64, 4
HIDDEN = 128
MIXER = 4 * N * D * D + 2 * N * N * D
MLP = 2 * N * D * HIDDEN


ALL = ("enable_grad", "no_grad", "inference_mode")
FUSED = ("no_grad", "inference_mode")


class Case(NamedTuple):
    """`call()` must cost `macs`, in all modes of gradients in which PyTorch itself can run it."""

    call: Callable[[], Any]
    macs: int
    modes: tuple[str, ...] = ALL


def cases(batch: int) -> dict[str, Case]:
    """All cases by name."""
    torch.manual_seed(0)
    groups = (_products, _convolutions, _attention, _layers, _ragged, _recurrent, _no_macs, _sparse, _rare)
    with warnings.catch_warnings(action="ignore"):  # torch says that sparse layouts are in beta
        return {name: case for group in groups for name, case in group(batch).items()}


def _products(b: int) -> dict[str, Case]:
    x, w = torch.rand(b, N, D), torch.rand(D, 32)
    v = torch.rand(D)
    a, c = torch.rand(b, 3, 4), torch.rand(b, 4, 5)
    linear = nn.Linear(D, 32)
    return {
        "linear": Case(lambda: linear(x), b * N * D * 32),
        "linear without bias": Case(lambda: F.linear(x, w.T), b * N * D * 32),
        "linear of a transposed input": Case(lambda: linear(x.transpose(0, 1)), b * N * D * 32),
        "linear of a vector": Case(lambda: linear(v), D * 32),
        "bilinear": Case(lambda: F.bilinear(a[:, 0], c[:, :, 0], torch.ones(7, 4, 4)), b * 7 * (4 * 4 + 4)),
        "@ matrix": Case(lambda: x @ w, b * N * D * 32),
        "@ vector": Case(lambda: x @ v, b * N * D),
        "@ batches": Case(lambda: x @ x.mT, b * N * N * D),
        "@ broadcast": Case(lambda: x[:, None] @ torch.ones(3, D, 5), b * 3 * N * D * 5),
        "vector @ matrix": Case(lambda: v @ w, D * 32),
        "vector @ vector": Case(lambda: v @ v, D),
        "matmul into out": Case(lambda: torch.matmul(x, w, out=torch.empty(b, N, 32)), b * N * D * 32),
        "mm": Case(lambda: torch.mm(x[0], w), N * D * 32),
        "bmm": Case(lambda: torch.bmm(a, c), b * 3 * 4 * 5),
        "baddbmm": Case(lambda: torch.baddbmm(torch.ones(b, 3, 5), a, c), b * 60),
        "addbmm": Case(lambda: torch.addbmm(torch.ones(3, 5), a, c), b * 60),
        "addmm": Case(lambda: torch.addmm(torch.ones(32), x[0], w), N * D * 32),
        "mv": Case(lambda: torch.mv(x[0], v), N * D),
        "addmv": Case(lambda: torch.addmv(torch.ones(N), x[0], v), N * D),
        "dot": Case(lambda: torch.dot(v, v), D),
        "vdot": Case(lambda: torch.vdot(v, v), D),
        "inner": Case(lambda: torch.inner(x[0], x[0]), N * N * D),
        "tensordot": Case(lambda: torch.tensordot(x, w, dims=1), b * N * D * 32),
        "multi_dot": Case(lambda: torch.linalg.multi_dot([x[0], w, w.T]), 2 * N * D * 32),
        "outer": Case(lambda: torch.outer(v, v), 0),  # products that are added to nothing
        "addr": Case(lambda: torch.addr(torch.ones(D, D), v, v), D * D),
        "einsum ij,jk": Case(lambda: torch.einsum("ij,jk->ik", x[0], w), N * D * 32),
        "einsum batch": Case(lambda: torch.einsum("bnc,bmc->bnm", x, x), b * N * N * D),
        "einsum heads": Case(
            lambda: torch.einsum("bhnd,bhmd->bhnm", *2 * [x.view(b, H, N, D // H)]), b * N * N * D
        ),
        "einsum of three": Case(
            lambda: torch.einsum("bnc,bmc,bm->bn", x, x, x[..., 0]), b * N * N * D + b * N * N
        ),
        "einsum dot": Case(lambda: torch.einsum("bnc,bnc->bn", x, x), b * N * D),
        "einsum diagonal": Case(lambda: torch.einsum("bii->bi", a[:, :, :3]), 0),
        "einsum ellipsis": Case(lambda: torch.einsum("...c,cd->...d", x, w), b * N * D * 32),
        "complex @": Case(lambda: a.cfloat() @ c.cfloat(), 4 * b * 60),
        "complex dot": Case(lambda: torch.dot(v.cfloat(), v.cfloat()), 4 * D),
        "integers @": Case(lambda: a.long() @ c.long(), b * 60),
        "distances": Case(lambda: torch.cdist(torch.ones(b, 30, 8), torch.ones(b, 40, 8)), b * 30 * 40 * 10),
        "vmap": Case(lambda: torch.func.vmap(lambda row: row @ w)(x), b * N * D * 32),
    }


def _convolutions(b: int) -> dict[str, Case]:
    line, image, volume = torch.rand(b, 6, 20), torch.rand(b, 6, 8, 8), torch.rand(b, 3, 5, 6, 7)
    theta = torch.rand(b, 2, 3)
    return {
        "conv1d": Case(lambda: F.conv1d(line, torch.ones(4, 6, 3)), b * 18 * 4 * 6 * 3),
        "conv2d": Case(lambda: F.conv2d(image, torch.ones(4, 6, 3, 3)), b * 36 * 4 * 6 * 9),
        "conv3d": Case(lambda: F.conv3d(volume, torch.ones(4, 3, 2, 2, 2)), b * 4 * 5 * 6 * 4 * 3 * 8),
        "strided": Case(lambda: F.conv2d(image, torch.ones(4, 6, 2, 2), stride=2), b * 16 * 4 * 6 * 4),
        "padded": Case(lambda: F.conv2d(image, torch.ones(4, 6, 3, 3), padding="same"), b * 64 * 4 * 6 * 9),
        "dilated": Case(lambda: F.conv2d(image, torch.ones(4, 6, 3, 3), dilation=2), b * 16 * 4 * 6 * 9),
        "grouped": Case(lambda: F.conv2d(image, torch.ones(6, 2, 3, 3), groups=3), b * 36 * 6 * 2 * 9),
        "depthwise": Case(lambda: F.conv2d(image, torch.ones(6, 1, 3, 3), groups=6), b * 36 * 6 * 9),
        "pointwise": Case(lambda: F.conv2d(image, torch.ones(4, 6, 1, 1)), b * 64 * 4 * 6),
        "without batch": Case(lambda: F.conv2d(image[0], torch.ones(4, 6, 3, 3)), 36 * 4 * 6 * 9),
        "transposed 1d": Case(
            lambda: F.conv_transpose1d(line, torch.ones(6, 4, 3), stride=2), b * 20 * 6 * 4 * 3
        ),
        "transposed 2d": Case(
            lambda: F.conv_transpose2d(image, torch.ones(6, 2, 2, 2), stride=2, groups=2),
            b * 64 * 6 * 2 * 4,
        ),
        "transposed 3d": Case(
            lambda: F.conv_transpose3d(volume, torch.ones(3, 4, 2, 2, 2)), b * 210 * 3 * 4 * 8
        ),
        # Three real convolutions (Gauss), as PyTorch runs it.
        "complex conv": Case(
            lambda: F.conv2d(image.cfloat(), torch.ones(4, 6, 3, 3).cfloat()), 3 * b * 36 * 4 * 6 * 9
        ),
        "half precision": Case(
            lambda: F.conv2d(image.bfloat16(), torch.ones(4, 6, 3, 3).bfloat16()), b * 36 * 4 * 6 * 9
        ),
        "time first": Case(
            lambda: torch.conv_tbc(torch.ones(7, b, 4), torch.ones(3, 4, 5), torch.ones(5)),
            5 * b * 5 * 3 * 4,
        ),
        "slow 2d": Case(
            lambda: torch._C._nn.thnn_conv2d(image, torch.ones(4, 6, 3, 3), 3), b * 36 * 4 * 6 * 9
        ),
        "slow 3d": Case(
            lambda: torch._C._nn.slow_conv3d(volume, torch.ones(4, 3, 2, 2, 2), 2),
            b * 4 * 5 * 6 * 4 * 3 * 8,
        ),
        "slow dilated": Case(
            lambda: torch._C._nn.slow_conv_dilated2d(image, torch.ones(4, 6, 3, 3), 3, None, 1, 0, 2),
            b * 16 * 4 * 6 * 9,
        ),
        "slow transposed": Case(
            lambda: torch._C._nn.slow_conv_transpose2d(image, torch.ones(6, 4, 2, 2), 2), b * 64 * 6 * 4 * 4
        ),
        "affine grid": Case(lambda: F.affine_grid(theta, [b, 3, 8, 9], align_corners=False), b * 72 * 2 * 3),
        "affine grid 3d": Case(
            lambda: F.affine_grid(torch.ones(b, 3, 4), [b, 3, 4, 8, 9], align_corners=False), b * 288 * 3 * 4
        ),
    }


def _attention(b: int) -> dict[str, Case]:
    q = torch.rand(b, H, N, 16)
    dense = 2 * b * H * N * N * 16
    bias = torch.rand(N, N)
    kept = torch.ones(N, N, dtype=torch.bool).tril()

    def on(backend: SDPBackend) -> torch.Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, q, q)

    return {
        "sdpa": Case(lambda: F.scaled_dot_product_attention(q, q, q), dense),
        "sdpa flash": Case(lambda: on(SDPBackend.FLASH_ATTENTION), dense),
        "sdpa math": Case(lambda: on(SDPBackend.MATH), dense),
        "sdpa bias": Case(lambda: F.scaled_dot_product_attention(q, q, q, attn_mask=bias), dense),
        "sdpa mask": Case(lambda: F.scaled_dot_product_attention(q, q, q, attn_mask=kept), dense),
        "sdpa causal": Case(lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True), dense),
        "sdpa no dropout": Case(lambda: F.scaled_dot_product_attention(q, q, q, dropout_p=0.0), dense),
        "sdpa dropout": Case(lambda: F.scaled_dot_product_attention(q, q, q, dropout_p=0.5), dense),
        "sdpa scale": Case(lambda: F.scaled_dot_product_attention(q, q, q, scale=0.3), dense),
        "sdpa grouped queries": Case(
            lambda: F.scaled_dot_product_attention(q, q[:, :2], q[:, :2], enable_gqa=True), dense
        ),
        "sdpa cross": Case(
            lambda: F.scaled_dot_product_attention(q, q[:, :, :3], q[:, :, :3]), 2 * b * H * N * 3 * 16
        ),
        "sdpa narrow values": Case(
            lambda: F.scaled_dot_product_attention(q, q, q[..., :8]), b * H * N * N * (16 + 8)
        ),
        "sdpa without heads": Case(lambda: F.scaled_dot_product_attention(*3 * [q[:, 0]]), dense // H),
        "sdpa double": Case(lambda: F.scaled_dot_product_attention(*3 * [q.double()]), dense),
        "sdpa half": Case(lambda: F.scaled_dot_product_attention(*3 * [q.half()]), dense),
        "sdpa bfloat16": Case(lambda: F.scaled_dot_product_attention(*3 * [q.bfloat16()]), dense),
    }


def _layers(b: int) -> dict[str, Case]:
    x, memory = torch.rand(b, N, D), torch.rand(b, 5, D)
    hidden = torch.zeros(b, N, dtype=torch.bool)
    hidden[0, 7:] = True
    heads = nn.MultiheadAttention(D, H, batch_first=True).eval()
    mixed = nn.MultiheadAttention(D, H, batch_first=True, kdim=32, vdim=48).eval()
    layer = nn.TransformerEncoderLayer(D, H, HIDDEN, batch_first=True).eval()
    pre = nn.TransformerEncoderLayer(
        D, H, HIDDEN, batch_first=True, norm_first=True, activation="gelu"
    ).eval()
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    decoder = nn.TransformerDecoderLayer(D, H, HIDDEN, batch_first=True).eval()
    cross = 2 * N * D * D + 2 * 5 * D * D + 2 * N * 5 * D

    def slowly(net: nn.Module, *args: Any, **kwargs: Any) -> Any:
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            return net(*args, **kwargs)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)

    keys = torch.rand(b, 5, 32), torch.rand(b, 5, 48)
    return {
        "mha": Case(lambda: heads(x, x, x, need_weights=False), b * MIXER),
        "mha with weights": Case(lambda: heads(x, x, x), b * MIXER),
        "mha key mask": Case(lambda: heads(x, x, x, key_padding_mask=hidden), b * MIXER),
        "mha attention mask": Case(lambda: heads(x, x, x, attn_mask=torch.zeros(N, N)), b * MIXER),
        "mha slow": Case(lambda: slowly(heads, x, x, x), b * MIXER),
        "mha cross": Case(lambda: heads(x, memory, memory, need_weights=False), b * cross),
        "mha other widths": Case(
            lambda: mixed(x, *keys, need_weights=False),
            b * (2 * N * D * D + 5 * (32 + 48) * D + 2 * N * 5 * D),
        ),
        "encoder layer": Case(lambda: layer(x), b * (MIXER + MLP)),
        "encoder layer slow": Case(lambda: slowly(layer, x), b * (MIXER + MLP)),
        "encoder layer key mask": Case(lambda: layer(x, src_key_padding_mask=hidden), b * (MIXER + MLP)),
        "encoder layer mask": Case(lambda: layer(x, src_mask=torch.zeros(N, N)), b * (MIXER + MLP)),
        "encoder layer pre-norm": Case(lambda: pre(x), b * (MIXER + MLP)),
        "encoder": Case(lambda: stack(x), 2 * b * (MIXER + MLP)),
        "encoder slow": Case(lambda: slowly(stack, x), 2 * b * (MIXER + MLP)),
        "encoder key mask": Case(lambda: stack(x, src_key_padding_mask=hidden), 2 * b * (MIXER + MLP)),
        "decoder layer": Case(lambda: decoder(x, memory), b * (MIXER + cross + MLP)),
    }


def _ragged(b: int) -> dict[str, Case]:
    lengths = [3, 9, 5, 5][:b]
    rows = [torch.rand(n, D) for n in lengths]
    heads = [torch.rand(H, n, 16) for n in lengths]
    linear = nn.Linear(D, 7)
    layer = nn.TransformerEncoderLayer(D, H, HIDDEN, batch_first=True).eval()
    mha = nn.MultiheadAttention(D, H, batch_first=True).eval()
    stack = nn.TransformerEncoder(layer, 2).eval()
    hidden = torch.arange(max(lengths))[None] >= torch.tensor(lengths)[:, None]
    padded = torch.rand(b, max(lengths), D)
    real = sum(lengths)
    # Projections see real tokens, attention pads to the longest sample.
    mixer = 4 * real * D * D + 2 * b * max(lengths) ** 2 * D
    attention = 2 * b * H * max(lengths) ** 2 * 16

    def nested(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.nested_tensor(parts)

    def jagged() -> torch.Tensor:
        return torch.nested.nested_tensor(rows, layout=torch.jagged)

    products = sum(n * n * D for n in lengths)
    cases = {
        "nested linear": Case(lambda: linear(nested(rows)), real * D * 7),
        "nested bmm": Case(
            lambda: torch.bmm(nested(rows), nested(rows).transpose(1, 2).contiguous()), products
        ),
        "nested bmm with dense": Case(lambda: torch.bmm(nested(rows), torch.ones(b, D, 7)), real * D * 7),
        "nested sdpa": Case(lambda: F.scaled_dot_product_attention(*3 * [nested(heads)]), attention),
        "nested mha": Case(lambda: mha(*3 * [nested(rows)], need_weights=False), mixer, FUSED),
        "nested encoder layer": Case(lambda: layer(nested(rows)), mixer + 2 * real * D * HIDDEN, FUSED),
        "jagged linear": Case(lambda: linear(jagged()).values(), real * D * 7),
    }
    if b > 1:
        cases["encoder that nests by its mask"] = Case(
            lambda: stack(padded, src_key_padding_mask=hidden),
            2 * (mixer + 2 * real * D * HIDDEN),
            FUSED,
        )
    return cases


def _recurrent(b: int) -> dict[str, Case]:
    x = torch.rand(b, N, D)
    steps = b * N
    nets = {
        "rnn": (nn.RNN(D, 32, 2, batch_first=True), steps * 32 * (D + 32 + 2 * 32)),
        "gru": (nn.GRU(D, 32, batch_first=True), 3 * steps * 32 * (D + 32)),
        "lstm": (nn.LSTM(D, 32, 2, batch_first=True), 4 * steps * 32 * (D + 32 + 2 * 32)),
        "lstm both ways": (
            nn.LSTM(D, 32, batch_first=True, bidirectional=True),
            2 * 4 * steps * 32 * (D + 32),
        ),
        "lstm projected": (
            nn.LSTM(D, 32, batch_first=True, proj_size=8),
            4 * steps * 32 * (D + 8) + steps * 32 * 8,
        ),
    }
    cases = {name: Case(lambda net=net: net(x), macs) for name, (net, macs) in nets.items()}
    cell = nn.LSTMCell(D, 32)
    cases["lstm cell"] = Case(lambda: cell(x[:, 0]), 4 * b * 32 * (D + 32))
    double = nn.LSTM(D, 32, batch_first=True).double()
    cases["lstm double"] = Case(lambda: double(x.double()), 4 * steps * 32 * (D + 32))
    packing = nn.utils.rnn.pack_padded_sequence
    lengths = [N, 4, 3, 2][:b]
    gru = nn.GRU(D, 32, batch_first=True)
    cases["gru of packed sequences"] = Case(
        lambda: gru(packing(x, torch.tensor(lengths), batch_first=True))[1],
        3 * sum(lengths) * 32 * D + 3 * sum(lengths) * 32 * 32,
    )
    return cases


def _no_macs(b: int) -> dict[str, Case]:
    x, image = torch.rand(b, N, D), torch.rand(b, 6, 8, 8)
    grid = torch.rand(b, 4, 4, 2)
    offsets = torch.randint(0, 64, (b, 9, 16))
    norms = nn.Sequential(nn.LayerNorm(D), nn.GELU(), nn.Softmax(dim=-1), nn.Dropout(0.1)).eval()
    return {
        "norm, activation, softmax": Case(lambda: norms(x), 0),
        "batch norm": Case(lambda: F.batch_norm(image, torch.zeros(6), torch.ones(6)), 0),
        "interpolate nearest": Case(lambda: F.interpolate(image, scale_factor=2), 0),
        "interpolate bilinear": Case(lambda: F.interpolate(image, size=(5, 7), mode="bilinear"), 0),
        "interpolate bicubic": Case(
            lambda: F.interpolate(image, size=(5, 7), mode="bicubic", antialias=True), 0
        ),
        "interpolate area": Case(lambda: F.interpolate(image, size=(3, 3), mode="area"), 0),
        "grid_sample": Case(lambda: F.grid_sample(image, grid, align_corners=False), 0),
        "gather": Case(
            lambda: (
                image.flatten(2)[:, :, None]
                .expand(-1, -1, 9, -1)
                .gather(3, offsets[:, None].expand(-1, 6, -1, -1))
            ),
            0,
        ),
        "deformable convolution by gathers": Case(
            lambda: (
                torch.ones(4, 54)
                @ torch.stack(
                    [
                        sample[:, index].reshape(54, 16)
                        for sample, index in zip(image.flatten(2), offsets, strict=True)
                    ]
                )
            ),
            b * 4 * 54 * 16,
        ),
        "mask": Case(lambda: x[x > 0.5], 0),
        "pooling": Case(lambda: F.adaptive_avg_pool2d(F.max_pool2d(image, 2), 1), 0),
        "pixel shuffle": Case(lambda: F.pixel_unshuffle(F.pixel_shuffle(image[:, :4], 2), 2), 0),
        "unfold": Case(lambda: F.fold(F.unfold(image, 3), (8, 8), 3), 0),
        "views of parameters": Case(lambda: [p.narrow(0, 0, 2) for p in norms[0].weight.chunk(3)], 0),
        "cross product of normals": Case(lambda: torch.linalg.cross(image[:, :3], image[:, 3:], dim=1), 0),
        "diagonal": Case(lambda: torch.diag(x[0, :, :N]), 0),
    }


def _sparse(b: int) -> dict[str, Case]:
    dense = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]])
    csr, coo, csc = dense.to_sparse_csr(), dense.to_sparse(), dense.to_sparse_csc()
    blocks = torch.block_diag(torch.ones(2, 2), torch.zeros(2, 2), torch.ones(2, 2)).to_sparse_bsr((2, 2))
    right = torch.rand(4, b)
    return {
        "csr @ dense": Case(lambda: csr @ right, 3 * b),
        "sparse.mm": Case(lambda: torch.sparse.mm(csr, right), 3 * b),
        "sparse.mm mean": Case(lambda: torch.sparse.mm(csr, right, "mean"), 3 * b),
        "csr @ vector": Case(lambda: csr @ right[:, 0], 3),
        "addmm csr": Case(lambda: torch.addmm(torch.zeros(3, b), csr, right), 3 * b),
        "addmm coo": Case(lambda: torch.sparse.addmm(torch.zeros(3, b), coo, right), 3 * b),
        "coo @ dense": Case(lambda: coo @ right, 3 * b),
        "csc @ dense": Case(lambda: csc @ right, 3 * b),
        "dense @ csr": Case(lambda: torch.ones(b, 3) @ csr, 3 * b),
        "bsr @ dense": Case(lambda: blocks @ torch.ones(6, b), 8 * b),
        "csr linear": Case(lambda: F.linear(torch.ones(b, 4), csr), 3 * b, ALL[:2]),
        "coo bmm": Case(lambda: torch.bmm(torch.stack([dense] * b).to_sparse(), torch.ones(b, 4, 5)), b * 15),
        "hspmm": Case(lambda: torch.hspmm(coo, right).to_dense(), 3 * b),
        "sampled": Case(
            lambda: torch.sparse.sampled_addmm(csr, torch.ones(3, 6), torch.ones(6, 4)).to_dense(), 3 * 6
        ),
    }


def _rare(b: int) -> dict[str, Case]:
    x = torch.rand(b, 16)
    integers = torch.ones(17, 8, dtype=torch.int8), torch.ones(8, 16, dtype=torch.int8)
    groups = torch.tensor([16, 32], dtype=torch.int32)
    rows, matrices = torch.ones(32, 16).bfloat16(), torch.ones(2, 16, 32).bfloat16()
    return {
        "int_mm": Case(lambda: torch._int_mm(*integers), 17 * 8 * 16),
        "grouped rows": Case(lambda: torch._grouped_mm(rows, matrices, offs=groups), 32 * 16 * 32),
        "grouped inner": Case(
            lambda: torch._grouped_mm(rows.mT.contiguous(), rows, offs=groups), 16 * 32 * 16
        ),
        "trilinear without sum": Case(lambda: torch._trilinear(x, x, x, [], [], [], [], 0), 0),
        "nothing": Case(lambda: x, 0),
    }
