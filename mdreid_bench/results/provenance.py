"""Which code, libraries and hardware made a record."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from mdreid_bench.results.schema import Provenance

_LIBRARIES = (
    "mdreid-bench",
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "numpy",
    "imagecorruptions-imaug",
    "pandas",
    "pillow",
    "safetensors",
)
_CODE = ("protocols", "mdreid_bench", "baselines", "pyproject.toml")


def collect(gpu: str | None, phase_seconds: Mapping[str, float], threads: Mapping[str, int]) -> Provenance:
    """Describe this process, now; seconds and threads of PyTorch are by phase, such as ``"train"``."""
    commit, dirty = git_state(Path(__file__).resolve().parents[2])
    return Provenance(
        commit=commit,
        dirty=dirty,
        versions=_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu_model(),
        cores=_cores(),
        gpu=gpu,
        created=datetime.now(UTC).replace(microsecond=0),
        phase_seconds=dict(phase_seconds),
        threads=dict(threads),
    )


@cache
def git_state(tree: Path) -> tuple[str | None, bool | None]:
    """Return (commit, dirty) of the checkout whose top folder is ``tree``, or (None, None).

    A tree inside another repository, such as an installation below a user's own project, is not a checkout.
    It is dirty when a file of the code differs from the commit or is not in it; other files do not count.
    """
    if not (tree / ".git").exists():
        return None, None
    commit = _git(tree, "rev-parse", "--verify", "HEAD")
    changes = _git(tree, "status", "--porcelain", "--", *_CODE)
    if commit is None or changes is None:
        return None, None
    return commit, bool(changes)


def _git(tree: Path, *arguments: str) -> str | None:
    # Variables such as GIT_DIR, set inside hooks, would point git at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(tree), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
