"""The kind of device that computes; torch is imported to find out only where there may be a GPU."""

import sys
from pathlib import Path

from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

DEVICES = ("auto", "cpu", "cuda")
_DRIVERS = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")
"""What drivers of NVIDIA, on its boards and under Windows too, and of AMD put into ``/dev``."""


def device_kind(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UnknownNameError: for another name.
        UsageError: when CUDA is asked for and absent.
    """
    if name not in DEVICES:
        raise UnknownNameError("device", name, DEVICES)
    if name == "cpu":
        return name
    available = _has_cuda()
    if name == "cuda" and not available:
        raise UsageError("--device cuda was asked for but this machine has no usable CUDA device; use --device cpu.")
    return "cuda" if available else "cpu"


def _has_cuda() -> bool:
    if "torch" not in sys.modules and not any(any(Path("/dev").glob(name)) for name in _DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()
