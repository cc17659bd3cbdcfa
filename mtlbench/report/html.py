"""The page: one self-contained file, readable without scripts and without a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mtlbench.report.canvas import Absent
from mtlbench.report.colours import MARKS
from mtlbench.report.frame import brief
from mtlbench.report.pages import Page
from mtlbench.report.quantities import printable

__all__ = ["page"]

SCRIPTS = ("theme.js", "tables.js", "explore.js")


def page(shown: Page, formats: Sequence[str]) -> str:
    """The whole page as text. Its policy lets only its own script run, known by its hash.

    Args:
        shown: all that is on it.
        formats: in which figures are also files beside it, as suffixes.
    """
    environment = Environment(
        loader=PackageLoader("mtlbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief
    environment.filters["breakable"] = _breakable
    environment.tests["absent"] = lambda block: isinstance(block, Absent)
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment.get_template("index.html.j2").render(
            page=shown,
            formats=", ".join(suffix.removeprefix(".").upper() for suffix in formats),
            marks=MARKS,
            mark_numbers={name: number for number, name in enumerate(MARKS)},
            variant_numbers={name: number for number, name in enumerate(shown.look)},
            script=Markup(script),  # noqa: S704  # our own file
            digest=digest,
            chart_data=Markup(shown.chart.data),  # noqa: S704  # made safe by chart_data
        )
        + "\n"
    )


def _breakable(words: str) -> Markup:
    """A name that may go on in the next line after any of its underscores."""
    return Markup("_<wbr>").join(escape(printable(words)).split("_"))


def _script() -> str:
    """All scripts as one, each kept to itself."""
    folder = files("mtlbench.report") / "templates"
    parts = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n' + "\n".join(f"{{\n{part}}}" for part in parts) + "\n"
