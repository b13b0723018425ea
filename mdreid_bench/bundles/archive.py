"""Bundles as zip files: written with the same bytes everywhere, and read as files that nobody vouches for."""

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.archive import declared_members
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.results.storage.files import open_regular
from mdreid_bench.wording import printable

MOST_FILES, LARGEST_FILE, LARGEST_BUNDLE = 50_000, 64 << 20, 4 << 30
"""Files of a bundle, bytes of one of them, and bytes of all of them unpacked."""
MOST_GROWTH, FREE_GROWTH = 100, 64 << 20
"""A bundle may grow to so many times its size when it is unpacked, and to so many bytes in any case."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,249}(/[A-Za-z0-9][A-Za-z0-9._+@-]{0,249}){0,3}")
_HEADER = 30
"""Bytes of the header before a member, without its name."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that all files of a bundle have: the first that a zip file knows."""
_MODE = (stat.S_IFREG | 0o644) << 16
_UNIX = 3


def write_zip(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """Write files by their names into a zip file, atomically; equal content makes equal bytes.

    Nothing is compressed: what is large is so already, and the bytes would be those of one version of a library.

    Raises:
        DataError: when the file system refuses.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name in sorted(files):
            content = files[name]
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr, member.create_system = _MODE, _UNIX
            archive.writestr(member, content if isinstance(content, bytes) else content.read_bytes())


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a folder with the files of a bundle: of a zip file a temporary one, of a folder this one itself.

    Names, kinds and sizes of all files are looked at before any of them is written.

    Raises:
        DataError: for a file that is no zip file or is damaged, for names that lead elsewhere or are not plain, for
            links, for two files of one name, for more or larger files than bundles have.
    """
    if path.is_dir():
        _check_folder(path)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mdreid-bench-") as temporary:
        try:
            with open_regular(path) as file, zipfile.ZipFile(file) as archive:
                members = _checked(path, archive.infolist(), declared_members(file), os.fstat(file.fileno()).st_size)
                for member in members:
                    _extract(archive, member, Path(temporary) / member.filename)
        except FileNotFoundError:
            raise DataError(f"There is no bundle {path}; make one with 'mdreid-bench bundle'.") from None
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"The bundle {path} cannot be unpacked ({error.strerror}).") from None
        except Exception as error:  # what the readers raise depends on the byte that is wrong
            raise DataError(
                f"The bundle {path} is no zip file, or damaged ({type(error).__name__}); have it sent again."
            ) from None
        yield Path(temporary)


def files_in(folder: Path) -> list[str]:
    """Return the names of all files below a folder, relative to it and with ``/`` between folders, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _check_folder(folder: Path) -> None:
    count = total = 0
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            place = Path(root, name)
            if place.is_symlink():
                raise _refused(folder, f"{printable(str(place.relative_to(folder)))} is a link")
        sizes = [Path(root, name).lstat().st_size for name in files]
        count, total = count + len(files), total + sum(sizes)
        _check_sizes(folder, count, max(sizes, default=0), total)


def _checked(path: Path, members: Sequence[zipfile.ZipInfo], declared: int, size: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive after a look at what the archive says of them."""
    if len(members) != declared:
        raise _refused(path, "its list of files is damaged")
    files = [member for member in members if not (member.is_dir() and not member.file_size)]
    for member in members:
        _check_member(path, member)
    total = sum(member.file_size for member in files)
    _check_sizes(path, len(members), max((member.file_size for member in files), default=0), total)
    if total > max(MOST_GROWTH * size, FREE_GROWTH):
        raise _refused(path, f"{size} bytes claim to hold {total}")
    end = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        if member.header_offset < end:
            raise _refused(path, f"{member.filename} shares its bytes with another file")
        end = member.header_offset + _HEADER + len(member.filename) + member.compress_size
    if end > size:
        raise _refused(path, "its files claim more bytes than it has")
    seen: dict[str, str] = {}
    for member in files:
        folded = member.filename.casefold()
        if folded in seen:
            raise _refused(path, f"{seen[folded]} and {member.filename} have one name where case does not count")
        seen[folded] = member.filename
    return files


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name, shown = member.orig_filename, printable(member.orig_filename[:300])
    if name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name):
        raise _refused(path, f"the name {shown} leads out of it")
    if not _PLAIN.fullmatch(name.removesuffix("/")):
        raise _refused(path, f"{shown} is no name of a file in a bundle")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(path, f"{shown} is a link or a device")
    if member.flag_bits & 1:
        raise _refused(path, f"{shown} is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(path, f"{shown} is compressed in an unusual way")


def _check_sizes(path: Path, count: int, largest: int, total: int) -> None:
    for what, number, most in (
        ("files", count, MOST_FILES),
        ("bytes in one file", largest, LARGEST_FILE),
        ("bytes", total, LARGEST_BUNDLE),
    ):
        if number > most:
            raise _refused(path, f"it holds {number} {what}, and bundles have {most} at most")


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one file; what is read ends at the size that the archive claims, where the checksum is compared."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)
    if target.stat().st_size != member.file_size:
        raise _refused(Path(str(archive.filename)), f"{member.filename} is not as long as it claims")


def _refused(path: Path, why: str) -> DataError:
    return DataError(f"The bundle {path} was not opened: {why}; have it made again with 'mdreid-bench bundle'.")
