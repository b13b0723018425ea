"""Reads ``.npz`` files that nobody vouches for: whole, with every checksum verified, or not at all."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_BYTES = 8 << 30
_SUFFIX = ".npy"
_END_MARK, _END_BYTES, _COUNT_OFFSET = b"PK\x05\x06", 22 + 65_535, 10
"""Mark of the record at the end of a zip file, the most that it can occupy, and where its count of members lies."""


class DamagedArchiveError(ValueError):
    """An archive that must not be believed."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by name.

    NumPy's own reader stops at the last byte that it needs, before the checksum is compared; here every member is
    read to its end first. Nothing is ever unpickled.

    Raises:
        FileNotFoundError: when there is no such file.
        DamagedArchiveError: when it cannot be read, a checksum does not match, or a member is not a plain array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != _declared_members(path):
                raise DamagedArchiveError(f"{path} lacks members")
            if sum(member.file_size for member in members) > _MAX_BYTES:
                raise DamagedArchiveError(f"{path} holds more than {_MAX_BYTES >> 30} GiB")
            return {member.filename.removesuffix(_SUFFIX): _array(archive.read(member)) for member in members}
    except (FileNotFoundError, DamagedArchiveError):
        raise
    except Exception as error:  # what the readers raise depends on the byte that is wrong
        raise DamagedArchiveError(f"{path} is damaged ({type(error).__name__})") from None


def _declared_members(path: Path) -> int:
    """Return how many members an archive says that it has; a damaged list of them may hide some."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _END_BYTES, 0))
        content = file.read()
    (count,) = struct.unpack_from("<H", content, content.rindex(_END_MARK) + _COUNT_OFFSET)
    return int(count)


def _array(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array
