"""Closed-form multiply-accumulates of the operators that do nearly all the work of a vision network.

One MAC is one multiplication whose product is added to a sum, so FLOPs are twice the MACs. Bias additions,
softmax, norms, activations and resizing carry none. Every argument is a shape or a count, so the same
functions serve the cost units of a network (before it exists) and the dispatch counter (while it runs).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

__all__ = [
    "attention_macs",
    "conv_macs",
    "encoder_layer_macs",
    "linear_macs",
    "matmul_macs",
    "multi_head_attention_macs",
    "outer_macs",
    "real_macs",
    "recurrent_macs",
    "sampled_matmul_macs",
    "sparse_matmul_macs",
]

Shape = Sequence[int]


def linear_macs(rows: int, in_features: int, out_features: int) -> int:
    """`y = x W^T + b` on `rows` vectors."""
    return rows * in_features * out_features


def matmul_macs(a: Shape, b: Shape) -> int:
    """`a @ b` with the rules of `torch.matmul`: dot, matrix-vector, matrix-matrix, broadcast batches.

    Args:
        a: shape [K], [M, K] or [..., M, K].
        b: shape [K], [K, N] or [..., K, N].
    """
    rows = a[-2] if len(a) > 1 else 1
    columns = b[-1] if len(b) > 1 else 1
    return _broadcast_size(a[:-2], b[:-2]) * rows * a[-1] * columns


def outer_macs(a: Shape, b: Shape) -> int:
    """Outer product of two vectors, added to a matrix (`torch.addr`)."""
    return prod(a) * prod(b)


def sparse_matmul_macs(stored: int, vectors: int) -> int:
    """A sparse matrix times a dense one: every stored element meets every dense vector.

    Args:
        stored: elements that the sparse matrix stores, explicit zeros and whole blocks included.
        vectors: columns of the dense right operand, or rows of the dense left one.
    """
    return stored * vectors


def sampled_matmul_macs(stored: int, inner: int) -> int:
    """A dense product of inner size `inner`, computed only at the `stored` places of a sparse result."""
    return stored * inner


def conv_macs(x: Shape, weight: Shape, y: Shape, *, transposed: bool = False) -> int:
    """Convolution of any dimension, grouped or not, dilated or not.

    Padding counts as if it were image, as everywhere in the literature; a transposed convolution counts
    every input element, also where its output is cropped.

    Args:
        x: input shape [B, C_in, ...] or [C_in, ...].
        weight: [C_out, C_in / groups, ...], or [C_in, C_out / groups, ...] if transposed.
        y: output shape [B, C_out, ...] or [C_out, ...].
        transposed: whether this is `conv_transpose`.
    """
    return prod(x if transposed else y) * prod(weight[1:])


def attention_macs(q: Shape, k: Shape, v: Shape, *, causal: bool = False) -> int:
    """`softmax(q k^T) v`, which is two matrix products.

    Args:
        q: queries [..., H, L, E].
        k: keys [..., H_kv, S, E]; with grouped queries H_kv divides H, and every query head still works.
        v: values [..., H_kv, S, E_v].
        causal: count only pairs at or below the diagonal. Off, the dense square is counted, which is what
            the mathematical definition and most kernels compute.
    """
    queries, keys = q[-2], k[-2]
    pairs = sum(min(i + 1, keys) for i in range(queries)) if causal else queries * keys
    return prod(q[:-2]) * pairs * (q[-1] + v[-1])


def multi_head_attention_macs(query: Shape, key: Shape) -> int:
    """Projections of queries, keys and values, attention, and the output projection, all D wide.

    The number of heads does not matter: H heads of D / H channels cost what one of D does.

    Args:
        query: [..., L, D].
        key: [..., S, D], the shape of the values too.
    """
    *batch, queries, dim = query
    keys = key[-2]
    projections = linear_macs(2 * queries + 2 * keys, dim, dim)
    return prod(batch) * (projections + 2 * queries * keys * dim)


def encoder_layer_macs(x: Shape, hidden: int) -> int:
    """A transformer encoder layer: self-attention with its projections, and a two-layer MLP.

    Args:
        x: tokens [..., N, D].
        hidden: width of the MLP between its two layers.
    """
    return multi_head_attention_macs(x, x) + 2 * linear_macs(prod(x[:-1]), x[-1], hidden)


def recurrent_macs(steps: int, matrices: Sequence[Shape]) -> int:
    """Recurrent layers (RNN, LSTM, GRU): every weight matrix meets every step once.

    Args:
        steps: time steps summed over the batch.
        matrices: shape of each weight matrix of each layer and direction, such as [4 * hidden, inputs].
    """
    return steps * sum(prod(matrix) for matrix in matrices)


def real_macs(of_complex: bool) -> int:
    """Real MACs of one MAC: a complex product is four real ones, each added to a sum."""
    return 4 if of_complex else 1


def _broadcast_size(a: Shape, b: Shape) -> int:
    """Elements of the broadcast of two shapes that are known to fit."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    padded = [1] * (len(longer) - len(shorter)) + list(shorter)
    return prod(p if n == 1 else n for n, p in zip(longer, padded, strict=True))
