"""Opening what somebody else may have put there."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.progress import Silent
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.storage.archive import DamagedArchiveError, read_npz
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import content_hash


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero"), tmp_path):
        for read in (read_regular, content_hash, read_npz):
            with pytest.raises(OSError, match="not a regular file"):
                read(path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent")


def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room
    with pytest.raises(OSError, match="larger than 4 MiB"):
        read_regular(path)
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than"):
        read_regular(path, 4)


@pytest.mark.parametrize("shape", [(10**12,), (3, 10**9), (2,)])
def test_an_array_that_claims_another_size_is_refused_before_anything_is_allocated(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    path, member = tmp_path / "x.npz", io.BytesIO()
    header = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    member.write(np.arange(3).tobytes())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", member.getvalue())
    with pytest.raises(DamagedArchiveError, match="not as large as it claims"):
        read_npz(path)


def test_a_log_is_not_appended_to_what_a_link_points_at(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("do not touch")
    (tmp_path / "run.log").symlink_to(target)
    RunLog(tmp_path / "run.log", Silent()).message("more")
    assert target.read_text() == "do not touch"
    (tmp_path / "run.log").unlink()
    RunLog(tmp_path / "run.log", Silent()).message("more")
    assert (tmp_path / "run.log").read_text().endswith("more\n")
