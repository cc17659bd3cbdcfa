"""The formats of a figure's files, named apart from what draws them: the command line lists them without matplotlib."""

from __future__ import annotations

__all__ = ["FORMATS"]

FORMATS = (".png", ".svg", ".pdf")
