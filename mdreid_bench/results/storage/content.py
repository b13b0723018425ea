"""Hashes of stored files, by which they are known to be what was written."""

import hashlib
from functools import lru_cache, partial
from pathlib import Path

_DIGEST_BYTES = 16


def content_hash(path: Path) -> str:
    """Return a hexadecimal hash of a file's content, computed once per process while the file does not change.

    Raises:
        OSError: when it cannot be read.
    """
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, changed: int, number: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=_DIGEST_BYTES)).hexdigest()
