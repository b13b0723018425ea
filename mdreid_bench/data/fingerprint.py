"""Content hashes of files, remembered between runs, and of whole splits."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from mdreid_bench.data.dataset import Fault
from mdreid_bench.data.files import cache_dir
from mdreid_bench.data.images import BadImageError, InspectedImage, inspect_image
from mdreid_bench.data.items import Item
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import canonical_hash
from protocols.modality import Modality

_MOST_BYTES = 1 << 28
"""Of a cache file; one of a million images has about half of it."""
_Stamp = tuple[int, int]
"""Size and time of the last change (ns): a file with the same stamp is taken to be the same."""


_Entry = tuple[int, int, str, int, int, tuple[str, ...], tuple[float, float] | None]
"""Stamp of a file, then the facts of its image."""


class Remembered(BaseModel, extra="forbid"):
    """The cache file of one folder: for each path the stamp and the facts of the image it had then; a hash of all."""

    version: Literal[3] = 3
    files: dict[str, _Entry]
    digest: str

    @classmethod
    def of(cls, files: Mapping[str, _Entry]) -> "Remembered":
        """Add the hash."""
        return cls(files=dict(files), digest=canonical_hash(files))


def inspect_files(
    folder: Path, paths: Sequence[str], reporter: Reporter, *, anew: bool = False
) -> tuple[dict[str, InspectedImage], tuple[Fault, ...]]:
    """Decode every image once, in parallel; images unchanged since the last time are not read again.

    Args:
        folder: of the dataset.
        paths: relative to it.
        reporter: shows the progress.
        anew: read the unchanged ones too, because damage on the disk need not change size and time.

    Returns:
        The facts of the readable images by path, and one fault for each of the others, in the order of ``paths``.
    """
    memory = _memory_of(folder)
    known = {} if anew else recall(memory)
    stamps = {path: _stamp(folder / path) for path in paths}
    facts: dict[str, InspectedImage] = {}
    for path, stamp in stamps.items():
        entry = known.get(path)
        if entry is not None and stamp == entry[:2]:
            facts[path] = InspectedImage(*entry[2:])
    faults = _read_new(folder, [path for path in paths if path not in facts], facts, reporter)
    entries = {p: (*s, *astuple(facts[p])) for p, s in stamps.items() if s is not None and p in facts}
    if entries != known:
        # A cache that cannot be written costs time, not correctness.
        with suppress(DataError):
            write_text(memory, json.dumps(Remembered.of(entries).model_dump()))
    return facts, tuple(Fault(path, faults[path]) for path in paths if path in faults)


def _read_new(folder: Path, paths: list[str], facts: dict[str, InspectedImage], reporter: Reporter) -> dict[str, str]:
    """Inspect ``paths``, add what is found to ``facts``, and return what is wrong by path."""
    faults: dict[str, str] = {}
    if not paths:
        return faults
    threads = min(16, os.cpu_count() or 1)
    with (
        reporter.track(f"Reading the images of {folder.name}", len(paths)) as step,
        ThreadPoolExecutor(threads) as pool,
    ):
        pending = {pool.submit(inspect_image, folder / path): path for path in paths}
        try:
            for future in as_completed(pending):
                path = pending[future]
                try:
                    facts[path] = future.result()
                except BadImageError as error:
                    faults[path] = str(error)
                step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return faults


def _memory_of(folder: Path) -> Path:
    place = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=12).hexdigest()
    return cache_dir() / "images" / f"{place}.json"


def recall(memory: Path) -> Mapping[str, _Entry]:
    """Return what a cache file says, or nothing when there is none or it is damaged."""
    try:
        found = Remembered.model_validate(json.loads(read_regular(memory, _MOST_BYTES)))
    except (OSError, ValueError, RecursionError):
        return {}
    return found.files if found.digest == canonical_hash(found.files) else {}


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def fingerprint(items: Iterable[Item], facts: Mapping[str, InspectedImage], sensors: Modality) -> str:
    """Return a hexadecimal hash of names, labels, roles and contents.

    It depends neither on where the files lie nor on their order or times.

    Args:
        items: to be hashed.
        facts: of all their images.
        sensors: those of the dataset; an item that lacks any is hashed with the names of those that it has.
    """
    lines = sorted(
        json.dumps(
            [item.name, item.identity, item.camera, item.scene, item.roles.value]
            + [[facts[path].digest for path in item.images.values()]]
            + ([] if item.sensors == sensors else [str(item.sensors)])
        )
        for item in items
    )
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
