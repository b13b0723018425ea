"""What `make` and the packages do before anything of the suite runs."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mdreid_bench

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
Torch: TypeAlias = Callable[..., tuple[str, set[str]]]


def make(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=env)


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
    ("target", "extra"),
    [("demo", "."), ("test", ".[test]"), ("lint", ".[dev]"), ("setup", ".[dev]"), ("gpu-check", ".[test]")],
)
def test_every_target_installs_what_it_needs_and_no_more(target: str, extra: str, tmp_path: Path) -> None:
    done = make("--dry-run", target, f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}")
    assert done.returncode == 0, done.stderr
    assert re.findall(r'--editable "(.*)"', done.stdout) == [extra]


def locked() -> dict[str, Requirement]:
    """Return what the lock file names for this machine, or for a like one with CUDA."""
    lines = [Requirement(line) for line in LOCK.read_text(encoding="utf-8").splitlines()]
    return {line.name: line for line in lines if line.marker is None or line.marker.evaluate()}


def test_every_dependency_is_locked_to_one_version_in_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    wanted = [one for one in map(Requirement, listed) if one.name != project["name"]]
    assert len(wanted) > 20
    versions = locked()
    for one in wanted:
        name = canonicalize_name(one.name)
        assert name in versions, f"{name} is in pyproject.toml and not in requirements.lock; call make lock"
        (pin,) = versions[name].specifier
        assert pin.operator == "==", name
        assert one.specifier.contains(pin.version), f"{pin} is outside of {one}; call make lock"


def test_the_lock_serves_every_python_and_names_no_place() -> None:
    text = LOCK.read_text(encoding="utf-8")
    for line in text.splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .*)?", line), line
    for name in ("torch", "torchvision"):  # a range of Python would make them two, and the wheels without CUDA none
        assert re.findall(rf"^{name}==[0-9.]+$", text, re.MULTILINE), name


def test_every_target_installs_from_the_lock(tmp_path: Path) -> None:
    done = make("--dry-run", "setup", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}")
    assert "--constraint requirements.lock --editable" in done.stdout


def wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


class Index(SimpleHTTPRequestHandler):
    """A folder as an index of wheels; what was asked for is kept."""

    asked: list[str]

    def log_message(self, format: str, *values: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Serve an index of wheels: its address, its folder, and what it was asked for."""
    folder, asked = tmp_path / "index", list[str]()
    folder.mkdir()
    kind = type("Ours", (Index,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder, asked
        server.shutdown()


@pytest.fixture
def torch_of(tmp_path: Path) -> Torch:
    """Return ``make torch`` as on a machine whose own index has nothing: what it says, and what it installs."""
    program = tmp_path / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    place, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    of_pip = {"PIP_TARGET": str(place), "PIP_INDEX_URL": empty.as_uri(), "PIP_CONFIG_FILE": os.devnull}
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PIP_", "MAKE"))}
    env = {**kept, **of_pip, "no_proxy": "127.0.0.1"}

    def run(*variables: str) -> tuple[str, set[str]]:
        done = make("torch", f"VENV={program.parents[1]}", *variables, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout, {found.name for found in place.glob("*.dist-info")}

    return run


PINS = {name: pin.version for name in ("torch", "torchvision") for pin in locked()[name].specifier}
CPU_WHEELS = {f"{name}-{version}+cpu.dist-info" for name, version in PINS.items()}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the usual wheels have no CUDA")


@on_linux
def test_without_a_card_the_wheels_of_torch_without_cuda_are_taken(
    index: tuple[str, Path, list[str]], torch_of: Torch
) -> None:
    address, folder, asked = index
    for name, version in PINS.items():
        wheel(folder / name, name, f"{version}+cpu")
    assert torch_of("NVIDIA=/dev/nvidia0", f"TORCH_CPU={address}") == ("", set())
    assert torch_of("NVIDIA=", "TORCH_CPU=") == ("", set())
    assert asked == []
    said, installed = torch_of("NVIDIA=", f"TORCH_CPU={address}")
    assert installed == CPU_WHEELS
    assert "usual" not in said


@on_linux
def test_an_index_without_these_wheels_leaves_the_usual_ones(
    index: tuple[str, Path, list[str]], torch_of: Torch
) -> None:
    address, folder, asked = index
    wheel(folder / "torch", "torch", f"{PINS['torch']}+cpu")  # and none of torchvision, which must go with it
    said, installed = torch_of("NVIDIA=", f"TORCH_CPU={address}")
    assert "/torch/" in asked
    assert installed == set()
    assert "the usual wheels follow" in said


@on_linux
def test_an_index_that_never_answers_costs_seconds(torch_of: Torch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said, installed = torch_of("NVIDIA=", "PATIENCE=1", f"TORCH_CPU={address}")
    assert time.monotonic() - start < 60  # pip alone would wait for 15 seconds, six times
    assert installed == set()
    assert "the usual wheels follow" in said


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
