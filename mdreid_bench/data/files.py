"""Finds the files of a dataset below a data root, and the user's cache."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import platformdirs

from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.images import SUFFIXES
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.wording import listed, printable

_MAX_DEPTH = 6
_SHOWN = 8
CACHE_VARIABLE = "MDREID_CACHE"


def cache_dir() -> Path:
    """Return the folder of what can be made again: ``MDREID_CACHE``, else the user's cache; it may not exist."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(os.path.expanduser(given)) if given else Path(platformdirs.user_cache_dir("mdreid-bench"))


def dataset_folder(dataset: Dataset, root: Path) -> Path:
    """Return the folder of a dataset: below ``root``, or ``root`` itself.

    Raises:
        DataError: when the layout is not there; the sentence tells what was expected and what was found.
    """
    title = dataset.card.title
    candidates = (*(root / name for name in (title, *dataset.card.folders)), root)
    best = max(candidates, key=lambda folder: sum((folder / part).is_dir() for part in dataset.folders()))
    missing = [part for part in dataset.folders() if not (best / part).is_dir()]
    if not missing:
        return best
    expected = f"expected {dataset.card.layout} in it"
    if len(missing) < len(dataset.folders()):
        lacking = ", ".join(missing)
        raise DataError(f"No complete {title} in {root}: {expected}, but {printable(best.name)} lacks {lacking}.")
    raise DataError(f"No {title} in {root}: {expected}, found {_content(root)}.")


def _content(root: Path) -> str:
    """Describe in a few words what a folder holds."""
    if not root.exists():
        return "no such folder"
    if not root.is_dir():
        return "a file instead of a folder"
    try:
        with os.scandir(root) as found:
            entries = sorted(printable(entry.name) for entry in islice(found, 10_000))
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    if not entries:
        return "an empty folder"
    return listed(entries, _SHOWN)


def read_lines(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a list of names that are not empty, each with its number, without blanks at its ends.

    Raises:
        DataError: when there is no such list, or it cannot be read as text.
    """
    try:
        text = read_regular(file).decode()
    except FileNotFoundError:
        raise DataError(f"There is no list {file}; restore it.") from None
    except OSError as error:
        raise DataError(f"The list {file} cannot be read ({error.strerror}); restore it.") from None
    except UnicodeDecodeError:
        raise DataError(f"The list {file} is no text; restore it.") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def read_numbers(file: Path) -> set[int]:
    """Return the numbers of a list, between commas on any number of lines.

    Raises:
        DataError: as :func:`read_lines`, and when it holds something else.
    """
    found = set()
    for number, line in read_lines(file):
        try:
            found |= {int(text) for text in line.strip(",").split(",")}
        except ValueError:
            raise DataError(f"{file}, line {number}, is no list of numbers between commas; restore it.") from None
    return found


def image_paths(dataset: Dataset, folder: Path) -> list[str]:
    """List the images of a dataset as sorted POSIX paths relative to ``folder``.

    Hidden files and files without the suffix of an image (notes, thumbnails) are passed over. Links are followed.

    Raises:
        DataError: when a folder cannot be read.
    """
    try:
        return sorted(path for part in dataset.roles for path in _walk(folder / part, part, _MAX_DEPTH))
    except OSError as error:
        raise DataError(f"Cannot read {error.filename} ({error.strerror}); check its permissions.") from error


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}/{entry.name}"
            if _is_folder(entry):
                if depth:
                    yield from _walk(folder / entry.name, path, depth - 1)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, which is found out when it is read as an image
        return False
