"""Fitting the tensors of a file to an encoder, with every key and every parameter accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from mtlbench.encoders.weights.account import Account, listed
from mtlbench.encoders.weights.layout import Layout
from mtlbench.encoders.weights.read import Checkpoint
from mtlbench.errors import DataError

__all__ = ["fit_weights", "require_finite"]


def fit_weights(
    encoder: nn.Module, checkpoint: Checkpoint, digest: str, name: str, layouts: Sequence[Layout]
) -> Account:
    """Load the tensors of a file into an encoder.

    The layout, and the prefix that a larger model put before the encoder's keys, are those that find the most of the
    encoder's parameters. Keys outside that prefix belong to other parts of that model and are left out.

    Args:
        encoder: gets the weights.
        checkpoint: what was read.
        digest: SHA-256 of the file.
        name: of the encoder, for messages.
        layouts: that the encoder knows.

    Raises:
        DataError: a key or a parameter is unaccounted for, a shape does not fit, a value is not finite, or the file
            holds several such encoders.
    """
    wanted = encoder.state_dict()
    best = _best(checkpoint, wanted, layouts, name)
    values, resized, wrong = _assemble(checkpoint.tensors, wanted, best)
    missing = [key for key in wanted if key not in best.pieces]
    account = Account(
        file=checkpoint.path.name,
        sha256=digest,
        layout=best.title,
        loaded=tuple(key for key in values if key not in resized),
        resized=resized,
        left_out=best.left_out,
        missing=tuple(missing),
        unexpected=tuple(best.unexpected),
        notes=checkpoint.notes,
    )
    lacking = [key for key in missing if not best.layout.may_lack(key)]
    if lacking or best.unexpected or wrong:
        raise _misfit(checkpoint, name, account, lacking, wrong)
    require_finite(checkpoint, values)
    encoder.load_state_dict(values, strict=False)
    return account


@dataclass
class _Fit:
    """The keys of a file, seen through one layout under one prefix.

    `pieces` holds, by parameter, the key of each piece; complete parameters only.
    """

    layout: Layout
    prefix: str
    pieces: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.layout.name + (f" under {self.prefix!r}" if self.prefix else "")

    @property
    def merit(self) -> tuple[int, int, int]:
        """More parameters found, then fewer keys unexplained, then a shorter prefix."""
        return len(self.pieces), -len(self.unexpected), -len(self.prefix)


def _best(checkpoint: Checkpoint, wanted: Mapping[str, Tensor], layouts: Sequence[Layout], name: str) -> _Fit:
    prefixes = _prefixes(checkpoint.tensors, at_least=len(wanted) // 4)
    fits = [_look(checkpoint.tensors, wanted, layout, prefix) for prefix in prefixes for layout in layouts]
    best = max(fits, key=lambda fit: fit.merit)
    if not best.pieces:
        raise DataError(
            f"these are no weights of {name}: none of {listed(checkpoint.tensors)} is a key of {_titles(layouts)}",
            where=str(checkpoint.path),
            fix=f"Give weights of the architecture of {name}, or choose the encoder that they belong to",
        )
    rivals = {
        fit.prefix for fit in fits if fit.merit[0] == best.merit[0] and not _nested(fit.prefix, best.prefix)
    }
    if rivals and all(name in best.pieces or best.layout.may_lack(name) for name in wanted):
        raise DataError(
            f"the file holds several encoders: under {', '.join(map(repr, sorted({best.prefix, *rivals})))}",
            where=str(checkpoint.path),
            fix="Save the state dictionary of the one to start from alone",
        )
    return best


def _titles(layouts: Sequence[Layout]) -> str:
    return ", ".join(layout.name for layout in layouts)


def _nested(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _prefixes(keys: Mapping[str, Tensor], at_least: int) -> list[str]:
    """The empty prefix, and all that end in a dot and begin that many keys."""
    counts = Counter(prefix for key in keys for prefix in _dotted(key))
    return ["", *(prefix for prefix, count in counts.items() if count >= max(at_least, 1))]


def _dotted(key: str) -> Iterator[str]:
    parts = key.split(".")
    for end in range(1, len(parts)):
        yield ".".join(parts[:end]) + "."


def _look(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], layout: Layout, prefix: str) -> _Fit:
    fit = _Fit(layout, prefix)
    found: dict[str, dict[int, str]] = {}
    count: dict[str, int] = {}
    for key in tensors:
        if not key.startswith(prefix):
            fit.left_out[key] = f"outside {prefix!r}"
            continue
        own = key.removeprefix(prefix)
        target = layout.target(own)
        if target is not None and target[0] in wanted:
            parameter, rule = target
            count[parameter] = rule.parts
            if rule.part in found.setdefault(parameter, {}):
                fit.unexpected.append(key)  # a second key for the same thing
            else:
                found[parameter][rule.part] = key
        elif why := layout.reason_to_leave_out(own):
            fit.left_out[key] = why
        else:
            fit.unexpected.append(key)
    for parameter, pieces in found.items():
        if len(pieces) == count[parameter]:
            fit.pieces[parameter] = [pieces[part] for part in range(len(pieces))]
        else:
            fit.unexpected += pieces.values()
    return fit


def _assemble(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], fit: _Fit
) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """Values by parameter, how some were resized, and a sentence on each that does not fit."""
    values: dict[str, Tensor] = {}
    resized: dict[str, str] = {}
    wrong: list[str] = []
    for name, keys in fit.pieces.items():
        pieces = [tensors[key] for key in keys]
        shape = tuple(wanted[name].shape)
        if len(pieces) > 1 and len({tuple(piece.shape[1:]) for piece in pieces}) > 1:
            wrong.append(f"{name} is in pieces of {', '.join(str(list(piece.shape)) for piece in pieces)}")
            continue
        value = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
        if tuple(value.shape) != shape:
            fitted = fit.layout.resized(name, value, shape)
            if fitted is None:
                wrong.append(f"{name} is {list(value.shape)}, not {list(shape)}")
                continue
            value, resized[name] = fitted
        values[name] = value.to(wanted[name].dtype)
    return values, resized, wrong


def _misfit(
    checkpoint: Checkpoint, name: str, account: Account, lacking: list[str], wrong: list[str]
) -> DataError:
    faults = []
    if lacking:
        faults.append(f"missing from the file: {listed(lacking)}")
    if account.unexpected:
        near = {key: get_close_matches(key, lacking, n=1, cutoff=0.8) for key in account.unexpected}
        faults.append(
            "unexpected in the file: "
            + listed(f"{key}, like {match[0]}" if match else key for key, match in near.items())
        )
    if wrong:
        faults.append(f"of another shape: {listed(wrong)}")
    return DataError(
        f"these weights do not fit {name} (nearest layout: {account.layout}); {'; '.join(faults)}",
        where=str(checkpoint.path),
        fix="Set the encoder's options to the architecture of the weights, or give weights of this architecture",
    )


def require_finite(checkpoint: Checkpoint, values: Mapping[str, Tensor]) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        DataError: some do.
    """
    broken = [name for name, value in values.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise DataError(
            f"the weights hold NaN or infinity: {listed(broken)}",
            where=str(checkpoint.path),
            fix="Give the weights of a training that did not diverge",
        )
