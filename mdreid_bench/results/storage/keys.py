"""One hash for equal content: run keys, record digests and fingerprints are made with it."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def canonical_json(obj: Any) -> str:
    """Return the one JSON text of a tree of plain values: sorted keys, no spaces, ASCII only.

    Floats are written in their shortest exact form, negative zero as zero; tuples equal lists.

    Raises:
        TypeError: for a value that JSON does not know, or a mapping key that is not text.
        ValueError: for NaN and infinity.
    """
    return json.dumps(_plain(obj), sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_hash(obj: Any) -> str:
    """Return the SHA-256 of :func:`canonical_json` as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(obj).encode("ascii")).hexdigest()


def _plain(obj: Any) -> Any:
    if isinstance(obj, Mapping):
        if not all(isinstance(key, str) for key in obj):
            raise TypeError("a mapping with keys that are not text has no canonical form")
        return {key: _plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value) for value in obj]
    if isinstance(obj, float):
        if not math.isfinite(obj):
            raise ValueError(f"{obj} has no canonical form")
        return float(obj) + 0.0  # -0.0 equals 0.0, so it must hash alike
    if obj is None or isinstance(obj, str | bool | int):
        return obj
    raise TypeError(f"{type(obj).__name__} has no canonical form")
