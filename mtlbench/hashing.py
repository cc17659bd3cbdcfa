"""One way to hash a specification: canonical JSON, SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["canonical_json", "digest"]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; equal values give equal text.

    Raises:
        TypeError: `value` holds something that JSON has no word for.
        ValueError: `value` holds NaN or infinity, which do not equal themselves in JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
