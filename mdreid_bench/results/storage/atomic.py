"""Files that are either the old ones or the new ones, whatever happens while they are written."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.temporary import temporary_beside


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced to disk and takes its place.

    The temporary name starts with a dot and ends with ``.tmp``. When the block raises, ``path`` keeps its old
    content and the temporary file is removed. Missing parent folders are made. What a killed process leaves is
    cleared away by :func:`mdreid_bench.results.storage.temporary.clear`.

    Raises:
        DataError: when the file system refuses, for example because it is full or read-only.
    """
    try:
        make_folder(path.parent)
        with temporary_beside(path) as temporary:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"Cannot write {path} ({reason}); make room or choose a folder that can be written."
        raise DataError(message) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, each synced to disk, so that a power cut cannot lose what lies in it.

    Raises:
        OSError: when the file system refuses.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def move_folder(temporary: Path, path: Path) -> None:
    """Put a new folder with all that is in it at ``path``, where nothing or an empty folder is.

    Its files may be many, so everything that waits for the disk is written out at once instead of file by file.

    Raises:
        OSError: when the file system refuses, or something is there.
    """
    os.sync()
    temporary.rename(path)
    _sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` atomically; see :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically as UTF-8 with Unix line ends; see :func:`replacing`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, obj: Any) -> None:
    """Write ``obj`` atomically as indented JSON.

    Raises:
        ValueError: for NaN or infinity, which JSON does not have.
    """
    write_text(path, json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_npz(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write named arrays atomically as one compressed ``.npz`` file.

    Raises:
        ValueError: for arrays of Python objects, which cannot be read back safely.
    """
    plain = {name: np.asarray(values) for name, values in arrays.items()}
    for name, values in plain.items():
        if values.dtype.hasobject:
            raise ValueError(f"the array {name!r} holds Python objects")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **plain)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
