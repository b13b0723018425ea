"""Reads ``.npz`` files that nobody vouches for: whole, with every checksum verified, or not at all."""

import io
import math
import os
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.results.storage.files import open_regular

_MAX_BYTES = 1 << 30
_SUFFIX = ".npy"
_END_MARK, _END_BYTES, _COUNT_OFFSET = b"PK\x05\x06", 22 + 65_535, 10
"""Mark of the record at the end of a zip file, the most that it can occupy, and where its count of members lies."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class DamagedArchiveError(ValueError):
    """An archive that must not be believed."""


def read_npz(path: Path, limit: int = 0) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by name.

    NumPy's own reader stops at the last byte that it needs, before the checksum is compared; here every member is
    read to its end first. Nothing is ever unpickled, and no size that the file merely claims is allocated. The
    unpacked members may have ``limit`` bytes, 1 GiB unless told otherwise.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be opened.
        DamagedArchiveError: when it is cut, a checksum does not match, or a member is not a plain array.
    """
    with open_regular(path) as file:
        try:
            most, declared = limit or _MAX_BYTES, declared_members(file)
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if len(members) != declared:
                    raise DamagedArchiveError(f"{path} lacks members")
                if sum(member.file_size for member in members) > most:
                    raise DamagedArchiveError(f"{path} holds more than {most >> 20} MiB")
                return {member.filename.removesuffix(_SUFFIX): _array(archive.read(member)) for member in members}
        except DamagedArchiveError:
            raise
        except Exception as error:  # what the readers raise depends on the byte that is wrong
            raise DamagedArchiveError(f"{path} is damaged ({type(error).__name__})") from None


def declared_members(file: BinaryIO) -> int:
    """Return how many members an archive says that it has; a damaged list of them may hide some."""
    file.seek(max(os.fstat(file.fileno()).st_size - _END_BYTES, 0))
    content = file.read()
    (count,) = struct.unpack_from("<H", content, content.rindex(_END_MARK) + _COUNT_OFFSET)
    return int(count)


def _array(content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    if dtype.hasobject or not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise DamagedArchiveError("an array is not as large as it claims")
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
