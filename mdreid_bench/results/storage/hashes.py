"""One hash for equal content, of plain values (run keys, digests of records, fingerprints) and of stored files."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from mdreid_bench.results.storage.files import open_regular

_FILE_DIGEST_BYTES = 16


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


def content_hash(path: Path) -> str:
    """Return a hexadecimal hash of a file's content, computed once per process while the file does not change.

    Raises:
        OSError: when it cannot be read.
    """
    status = path.stat()
    return _file_hash(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _file_hash(path: Path, size: int, changed: int, number: int) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=_FILE_DIGEST_BYTES)).hexdigest()


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
