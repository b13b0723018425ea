"""What `make` and the packages do before anything of the suite runs."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import mdreid_bench

ROOT = Path(__file__).parents[1]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def interpreter(folder: Path, version: str) -> Path:
    """Return a program that answers as a Python of some version would."""
    file = folder / "python-of-old"
    code = f"import sys; sys.version_info = {tuple(map(int, version.split('.')))}; exec(sys.argv[2])"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return file


def test_an_old_python_is_refused_at_once(tmp_path: Path) -> None:
    old = interpreter(tmp_path, "3.10.12")
    done = make("python", f"PYTHON={old}")
    assert done.returncode == 2
    assert f"mdreid-bench needs Python 3.11 or newer, and '{old}' is not" in done.stderr
    assert "make PYTHON=python3.11" in done.stderr
    assert make("python", f"PYTHON={interpreter(tmp_path, '3.11.0')}").returncode == 0


def test_an_interpreter_that_is_not_there_is_refused_likewise(tmp_path: Path) -> None:
    done = make("python", f"PYTHON={tmp_path / 'none'}")
    assert done.returncode == 2
    assert "name another interpreter" in done.stderr


@pytest.mark.parametrize(
    ("target", "extra"), [("demo", "."), ("test", ".[test]"), ("lint", ".[dev]"), ("setup", ".[dev]")]
)
def test_every_target_installs_what_it_needs_and_no_more(target: str, extra: str, tmp_path: Path) -> None:
    done = make("--dry-run", target, f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}")
    assert done.returncode == 0, done.stderr
    assert re.findall(r'--editable "(.*)"', done.stdout) == [extra]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    stated = re.search(r'requires-python = ">=([0-9.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert stated is not None
    assert f"OLDEST := {stated[1]}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"Python {stated[1]} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", mdreid_bench.__version__)
    assert f'version = "{mdreid_bench.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a checkout, to know which files belong to it")
def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    for name in tracked:
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    command = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path / "copy", check=True, capture_output=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert set(tracked) - packed == set()
