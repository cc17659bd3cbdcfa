"""How the 59 labels of Clothing Co-Parsing are grouped: one row per upstream label.

Upstream names clothes, not anatomy: `skin` is every bare part of the body alike, and a sleeve hides an arm.
So a human part here is where on the body the labelled thing is worn, which claims nothing about limbs that
the masks cannot tell apart. What spans the body (dresses, rompers) is a group of its own.

Three names mislead, and follow their pixels: `tights` are tops (7 of 8 masks), `jumper` is a pullover (20 of
21 masks), and `suit` a suit jacket (88 of 90 masks; its trousers are `pants`). Labels that no mask holds
(clogs, intimate, panties, swimwear) follow their names.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GARMENTS", "LABELS", "PARTS", "Label", "garment_of_label", "part_of_label"]

PARTS = (
    "background",
    "head",  # hair and what is worn on the head; the bare face is skin
    "skin",  # bare face, neck, arms, hands, legs
    "upper_body",
    "whole_body",
    "lower_body",
    "feet",
    "belongings",  # carried, or worn on hands and wrists
)

GARMENTS = (
    "background",
    "skin",
    "hair",
    "shirt",
    "knitwear",
    "outerwear",
    "dress",
    "trousers",
    "skirt",
    "legwear",
    "footwear",
    "bag",
    "accessory",
)


class Label(NamedTuple):
    """One upstream label: its value in the masks, its name, its class for `human_parts` and for `semseg`."""

    value: int
    name: str
    part: str
    garment: str


LABELS = (
    Label(0, "null", "background", "background"),
    Label(1, "accessories", "belongings", "accessory"),
    Label(2, "bag", "belongings", "bag"),
    Label(3, "belt", "upper_body", "accessory"),
    Label(4, "blazer", "upper_body", "outerwear"),
    Label(5, "blouse", "upper_body", "shirt"),
    Label(6, "bodysuit", "whole_body", "dress"),
    Label(7, "boots", "feet", "footwear"),
    Label(8, "bra", "upper_body", "shirt"),
    Label(9, "bracelet", "belongings", "accessory"),
    Label(10, "cape", "upper_body", "outerwear"),
    Label(11, "cardigan", "upper_body", "knitwear"),
    Label(12, "clogs", "feet", "footwear"),
    Label(13, "coat", "upper_body", "outerwear"),
    Label(14, "dress", "whole_body", "dress"),
    Label(15, "earrings", "head", "accessory"),
    Label(16, "flats", "feet", "footwear"),
    Label(17, "glasses", "head", "accessory"),
    Label(18, "gloves", "belongings", "accessory"),
    Label(19, "hair", "head", "hair"),
    Label(20, "hat", "head", "accessory"),
    Label(21, "heels", "feet", "footwear"),
    Label(22, "hoodie", "upper_body", "knitwear"),
    Label(23, "intimate", "upper_body", "shirt"),
    Label(24, "jacket", "upper_body", "outerwear"),
    Label(25, "jeans", "lower_body", "trousers"),
    Label(26, "jumper", "upper_body", "knitwear"),
    Label(27, "leggings", "lower_body", "legwear"),
    Label(28, "loafers", "feet", "footwear"),
    Label(29, "necklace", "upper_body", "accessory"),
    Label(30, "panties", "lower_body", "trousers"),
    Label(31, "pants", "lower_body", "trousers"),
    Label(32, "pumps", "feet", "footwear"),
    Label(33, "purse", "belongings", "bag"),
    Label(34, "ring", "belongings", "accessory"),
    Label(35, "romper", "whole_body", "dress"),
    Label(36, "sandals", "feet", "footwear"),
    Label(37, "scarf", "upper_body", "accessory"),
    Label(38, "shirt", "upper_body", "shirt"),
    Label(39, "shoes", "feet", "footwear"),
    Label(40, "shorts", "lower_body", "trousers"),
    Label(41, "skin", "skin", "skin"),
    Label(42, "skirt", "lower_body", "skirt"),
    Label(43, "sneakers", "feet", "footwear"),
    Label(44, "socks", "lower_body", "legwear"),
    Label(45, "stockings", "lower_body", "legwear"),
    Label(46, "suit", "upper_body", "outerwear"),
    Label(47, "sunglasses", "head", "accessory"),
    Label(48, "sweater", "upper_body", "knitwear"),
    Label(49, "sweatshirt", "upper_body", "knitwear"),
    Label(50, "swimwear", "whole_body", "dress"),
    Label(51, "t-shirt", "upper_body", "shirt"),
    Label(52, "tie", "upper_body", "accessory"),
    Label(53, "tights", "upper_body", "shirt"),
    Label(54, "top", "upper_body", "shirt"),
    Label(55, "vest", "upper_body", "shirt"),
    Label(56, "wallet", "belongings", "bag"),
    Label(57, "watch", "belongings", "accessory"),
    Label(58, "wedges", "feet", "footwear"),
)


def part_of_label() -> NDArray[np.uint8]:
    """For each upstream label value its index in `PARTS`: [59]."""
    return np.array([PARTS.index(label.part) for label in LABELS], np.uint8)


def garment_of_label() -> NDArray[np.uint8]:
    """For each upstream label value its index in `GARMENTS`: [59]."""
    return np.array([GARMENTS.index(label.garment) for label in LABELS], np.uint8)
