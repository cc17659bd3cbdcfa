"""A figure as SVG that lives inside the page: themed by its CSS, no outside addresses, no clashing ids."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from markupsafe import Markup

from mtlbench.report.canvas import GRID, INK, MUTED, Drawing, drawing
from mtlbench.report.quantities import printable

__all__ = ["inline_svg"]

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
THEMED = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)"}
UNWANTED = {"metadata", "style"}
REFERENCE = re.compile(r"(url\(#|^#)")


def inline_svg(picture: Drawing) -> Markup:
    """The figure as an `<svg>` element with its text alternative.

    Text stays text, so it can be read, searched and copied; the neutral colours become the page's own, so
    that one figure serves light, dark and print.
    """
    stream = io.BytesIO()
    with drawing():
        picture.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())  # noqa: S314  # written by matplotlib in the line above
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(SVG) in UNWANTED or "}" in child.tag.removeprefix(SVG):
                parent.remove(child)
    for element in root.iter():
        _make_local(element, picture.slug)
    _describe(root, picture)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # serialised, so its text is escaped


def _make_local(element: ElementTree.Element, slug: str) -> None:
    element.tag = element.tag.removeprefix(SVG)
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        kept = f"{slug}-{value}" if name == "id" else REFERENCE.sub(rf"\g<1>{slug}-", value)
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
