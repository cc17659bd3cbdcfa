"""Long names in little room: broken between words, and only a word that is too long is shortened, in its middle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["fitted", "shortened", "wrapped"]

WORD_WIDTH = 24
"""Longer words are shortened, where there is little room."""

ELLIPSIS = "\u2026"


def shortened(words: str, width: int) -> str:
    """At most `width` characters: the middle, which says least, becomes an ellipsis."""
    if len(words) <= width:
        return words
    kept = max(width - 1, 0)
    return words[: (kept + 1) // 2] + ELLIPSIS + words[len(words) - kept // 2 :]


def wrapped(words: str, width: int) -> str:
    """Lines of at most `width` characters, broken after spaces and commas."""
    lines = [""]
    for piece in re.findall(r"[^\s,]+,?\s*|[\s,]+", words):
        word = shortened(piece.rstrip(), width)
        gap = " " * (len(piece) - len(piece.rstrip()))
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + gap
    return "\n".join(line.rstrip() for line in lines)


def fitted(columns: Mapping[int, Sequence[str]], width: int) -> dict[int, list[str]]:
    """Columns of words, wrapped to stand side by side in about `width` characters; narrow ones stay as they are.

    A column is never narrower than its longest word, unless that is very long.
    """
    needs = {index: max(map(len, words), default=0) for index, words in columns.items()}
    found: dict[int, list[str]] = {}
    for place, index in enumerate(sorted(needs, key=lambda index: needs[index])):
        longest = max((len(word) for words in columns[index] for word in words.split()), default=0)
        room = max(width // (len(needs) - place), min(longest, WORD_WIDTH))
        found[index] = [wrapped(words, room) for words in columns[index]]
        width -= min(needs[index], room)
    return found
