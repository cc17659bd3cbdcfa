"""A figure as files, and as SVG inside the page: themed by its CSS, no outside addresses, no clashing ids."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup

from mtlbench.report.canvas import GRID, INK, MUTED, Drawing, drawing
from mtlbench.report.formats import FORMATS
from mtlbench.report.quantities import printable

__all__ = ["inline_svg", "save_figure"]

PNG_DPI = 160
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
THEMED = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)"}
UNWANTED = {"metadata", "style"}
GEOMETRY = {"d", "points", "x", "y", "width", "height", "transform", "x1", "x2", "y1", "y2"}
REFERENCE = re.compile(r"(url\(#|^#)")
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def save_figure(picture: Drawing, folder: Path, formats: Sequence[str] = FORMATS) -> Markup:
    """Write the files of a figure, and return what `inline_svg` makes of it.

    Args:
        picture: the figure; its layout is fixed by the first of the files.
        folder: where they go, as `<slug>.png`, `.svg` and `.pdf`.
        formats: those of `FORMATS` to write.
    """
    path = folder / picture.slug
    written = _svg(picture)
    with mpl.rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
        picture.figure.set_layout_engine(
            None
        )  # laid out by now; without an engine a save draws once, not twice
    if ".svg" in formats:
        # Cut before the first element, so that the ground lies below all others.
        start = written.index(b"<g ")
        ground = b'<rect width="100%" height="100%" fill="#ffffff"/>\n '
        path.with_name(f"{path.name}.svg").write_bytes(written[:start] + ground + written[start:])
    about: dict[str, dict[str, str | None]] = {
        ".png": {"Description": printable(picture.alt)},
        ".pdf": {"Title": printable(picture.title), "Creator": "mtlbench", "CreationDate": None},
    }
    with drawing():
        for suffix in (suffix for suffix in about if suffix in formats):
            picture.figure.savefig(
                path.with_name(path.name + suffix), facecolor="white", dpi=PNG_DPI, metadata=about[suffix]
            )
    return _inline(written, picture)


def inline_svg(picture: Drawing) -> Markup:
    """The figure as an `<svg>` element with its text alternative.

    Text stays text, so it can be read, searched and copied; the neutral colours become the page's own, so
    that one figure serves light, dark and print.
    """
    return _inline(_svg(picture), picture)


def _svg(picture: Drawing) -> bytes:
    stream = io.BytesIO()
    with drawing():
        picture.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return stream.getvalue()


def _inline(written: bytes, picture: Drawing) -> Markup:
    root = ElementTree.fromstring(written)  # noqa: S314  # written by matplotlib
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(SVG) in UNWANTED or "}" in child.tag.removeprefix(SVG):
                parent.remove(child)
    used = set(re.findall(r"#([\w.-]+)", written.decode()))
    for element in root.iter():
        _make_local(element, picture.slug, used)
    _describe(root, picture)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so its text is escaped


def _make_local(element: ElementTree.Element, slug: str, used: set[str]) -> None:
    element.tag = element.tag.removeprefix(SVG)
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        if name == "id":
            if value in used:
                element.set(name, f"{slug}-{value}")
            continue
        kept = REFERENCE.sub(rf"\g<1>{slug}-", value)
        if name in GEOMETRY:
            kept = LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}", kept.replace("\n", ""))
        for colour, variable in THEMED.items():
            kept = kept.replace(colour, variable)
        element.set(name.removeprefix(XLINK), kept)


def _describe(root: ElementTree.Element, picture: Drawing) -> None:
    width, height = (float(root.attrib.pop(side).removesuffix("pt")) for side in ("width", "height"))
    root.set("viewBox", f"0 0 {width:g} {height:g}")
    root.set("style", f"--natural: {width * 4 / 3:.0f}px")
    root.set("role", "img")
    root.set("aria-labelledby", f"{picture.slug}-title {picture.slug}-desc")
    root.attrib.pop("version", None)
    for index, (tag, words) in enumerate((("title", picture.title), ("desc", picture.alt))):
        child = ElementTree.Element(tag, {"id": f"{picture.slug}-{tag}"})
        child.text = printable(words)
        root.insert(index, child)
