"""What a stored file belongs to: it carries its own place, so that the file of another run or cell is noticed.

The folder of a run or of a training is named after its key, and the folder of a scope after its limit. So the place
``<run>/<scope>/<cell>.npz`` says all that a file belongs to, and stays the same when a results folder is moved.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.wording import printable

PLACE, _DIGEST = "place", "digest"
_LONGEST = 300


class NotOfThisPlaceError(ValueError):
    """A file that belongs somewhere else; the message completes the sentence "the file ..."."""


def place_of(path: Path, depth: int) -> str:
    """Return the last ``depth`` parts of a path: from the folder of the run or of the training to the file."""
    return "/".join(path.absolute().parts[-depth:])


def check_place(path: Path, depth: int, told: object) -> None:
    """Refuse a file that tells another place than its own, or none, which is None; see :func:`place_of`.

    Raises:
        NotOfThisPlaceError: when both differ.
    """
    if told is None:
        raise NotOfThisPlaceError("does not tell what it belongs to, as files of earlier versions do not")
    if told != place_of(path, depth):
        raise NotOfThisPlaceError(f"belongs to {printable(str(told)[:_LONGEST])}")


def write_sealed(path: Path, content: Mapping[str, Any], depth: int = 2) -> None:
    """Write a small JSON file with its place and a digest of everything, atomically.

    Raises:
        DataError: when the file system refuses.
    """
    tree = {**content, PLACE: place_of(path, depth)}
    atomic.write_json(path, tree | {_DIGEST: canonical_hash(tree)})


def read_sealed(path: Path, depth: int = 2) -> dict[str, Any]:
    """Return the content of a file that :func:`write_sealed` wrote, without place and digest.

    Raises:
        FileNotFoundError: when it is not there.
        OSError: when it cannot be read.
        NotOfThisPlaceError: when it belongs somewhere else.
        ValueError: when it is damaged or was changed.
    """
    try:
        content = json.loads(read_regular(path))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict) or content.pop(_DIGEST, None) != canonical_hash(content):
        raise ValueError("its digest does not match")
    check_place(path, depth, content.pop(PLACE, None))
    return content
