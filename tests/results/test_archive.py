"""Archives of arrays: whole, with every checksum verified, or not at all."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.archive import DamagedArchiveError, read_npz
from tests.evaluation.stored import store

MARK = np.float64(0.123456789)


def _with_a_changed_number(path: Path) -> None:
    """Change a number in an archive that is not compressed, so that nothing but its checksum tells."""
    content, mark = path.read_bytes(), MARK.tobytes()
    assert content.count(mark) == 1
    path.write_bytes(content.replace(mark, np.float64(0.987654321).tobytes()))


def test_a_changed_number_that_numpy_would_believe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.array([MARK]))
        # NumPy stops after the last byte of the array; the checksum is compared at the end of the member.
        archive.writestr("ap.npy", buffer.getvalue() + bytes(1 << 16))
    _with_a_changed_number(path)
    with np.load(path) as believed:
        assert believed["ap"].tolist() == [0.987654321]
    with pytest.raises(DamagedArchiveError, match="BadZipFile"):
        read_npz(path)


def test_a_table_of_embeddings_with_a_changed_checksum_is_refused(tmp_path: Path) -> None:
    folder = EmbeddingFolder(store(tmp_path).folder.path)
    with zipfile.ZipFile(folder.items_file) as archive:
        member = archive.getinfo("identity.npy")
    content = bytearray(folder.items_file.read_bytes())
    for place in range(len(content) - 4):
        if content[place : place + 4] == member.CRC.to_bytes(4, "little"):
            content[place] ^= 1
    folder.items_file.write_bytes(content)
    with pytest.raises(DataError, match=r"items\.npz are missing or damaged; move .* away and run again"):
        folder.read_items()


def test_hidden_members_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(3), b=np.arange(4))
    content = path.read_bytes()
    entry = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", entry + 4)
    path.write_bytes(content[:entry] + content[second:])
    with pytest.raises(DamagedArchiveError):
        read_npz(path)
