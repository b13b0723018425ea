"""The list of the files of a bundle with their SHA-256, in the form that ``sha256sum --check`` reads."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mdreid_bench.bundles.archive import files_in
from mdreid_bench.bundles.finding import Finding, Kind
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.files import open_regular, read_regular

NAME = "SHA256SUMS"
_LARGEST = 16 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def manifest(files: Mapping[str, Path | bytes]) -> str:
    """Return the text of the list: a line for each file, sorted by name."""
    return "".join(f"{_digest(files[name])}  {name}\n" for name in sorted(files))


def is_bundle(folder: Path) -> bool:
    """Tell whether a folder is an unpacked bundle."""
    return (folder / NAME).is_file()


def read_manifest(folder: Path, shown: Path) -> dict[str, str]:
    """Return name -> SHA-256 of an unpacked bundle, which messages call ``shown``.

    Raises:
        DataError: when there is no list, or it cannot be read.
    """
    try:
        lines = read_regular(folder / NAME, _LARGEST).decode("ascii").splitlines()
    except FileNotFoundError:
        raise DataError(f"{shown} is no bundle: {NAME} is not at its top.") from None
    except (OSError, ValueError):
        raise DataError(f"{NAME} of the bundle {shown} cannot be read; have it made again.") from None
    found = [_LINE.fullmatch(line) for line in lines]
    listed = {match[2]: match[1] for match in found if match is not None}
    if len(listed) != len(lines) or not lines:
        raise DataError(f"{NAME} of the bundle {shown} is not a list of hashes and names; have it made again.")
    return listed


def differences(folder: Path, listed: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each file that is not the listed one, is not listed, or is not there."""
    there = set(files_in(folder)) - {NAME}
    for name in sorted(there | listed.keys()):
        if name not in there:
            yield Finding(Kind.MISSING, name, f"{NAME} lists it, and it is not there")
        elif name not in listed:
            yield Finding(Kind.UNLISTED, name, f"{NAME} does not list it")
        elif _digest(folder / name) != listed[name]:
            yield Finding(Kind.CHANGED, name, f"its SHA-256 is not the one in {NAME}")


def check_whole(folder: Path, shown: Path) -> None:
    """Refuse an unpacked bundle whose files are not exactly the listed ones.

    Raises:
        DataError: that names the first difference.
    """
    found = list(differences(folder, read_manifest(folder, shown)))
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise DataError(
            f"The bundle {shown} is not whole: {found[0].file}: {found[0].what}{more}; 'mdreid-bench check-bundle' "
            "lists all."
        )


def _digest(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open_regular(content) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
