"""Published weights: reading files, knowing key layouts, and accounting for every key."""

from mtlbench.encoders.weights.account import Account, describe
from mtlbench.encoders.weights.files import find_file, sha256_of
from mtlbench.encoders.weights.fit import fit_weights
from mtlbench.encoders.weights.layout import OWN, Layout, Rule
from mtlbench.encoders.weights.read import Checkpoint, read_checkpoint

__all__ = [
    "OWN",
    "Account",
    "Checkpoint",
    "Layout",
    "Rule",
    "describe",
    "find_file",
    "fit_weights",
    "read_checkpoint",
    "sha256_of",
]
