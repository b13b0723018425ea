"""Device and numeric precision, chosen or checked."""

import os
import shutil
from functools import cache
from pathlib import Path

import torch

from mdreid_bench.config.schema import Precision, PrecisionChoice
from mdreid_bench.errors import UsageError
from mdreid_bench.processes.kind import device_kind

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
WIDE = 384
"""Width of a token from which on bf16 pays on a CPU; below it, conversions cost what products save."""
_CPU_FACTS = Path("/proc/cpuinfo")


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``, on which single precision is what its name says.

    Raises:
        UnknownNameError: for another name.
        UsageError: when CUDA is asked for and absent.
    """
    device = torch.device(device_kind(name))
    if device.type == "cuda":
        # Of itself, torch rounds the factors of convolutions on CUDA to 10 bits (TF32), though not those of products.
        torch.backends.cudnn.allow_tf32 = False
    return device


def pick_precision(name: PrecisionChoice, device: torch.device, token_width: int) -> Precision:
    """Resolve ``auto``: bf16 or else fp16 on CUDA; on a CPU bf16 where that is faster, else fp32.

    A precision is returned as it is. The width of the widest backbone's tokens decides on a CPU; 0 without any.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if token_width >= WIDE and cpu_has_bf16() else "fp32"


def cpu_has_bf16() -> bool:
    """Tell whether the CPU multiplies bf16 by instructions of its own, as far as the system says."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(cpu_words())


@cache
def cpu_words() -> frozenset[str]:
    """Return what the system says of the CPU, names of its instructions among it; nothing where it says nothing."""
    try:
        return frozenset(_CPU_FACTS.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return frozenset()


def check_compiler(device: torch.device) -> None:
    """See that a trunk can be compiled for a device.

    Raises:
        UsageError: when the compiler that this takes on a CPU is missing.
    """
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "cl"))):
        raise UsageError("--compile needs a C++ compiler such as g++, and there is none; leave the option out.")


def device_name(device: torch.device) -> str | None:
    """Return the name of a CUDA device, None for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
