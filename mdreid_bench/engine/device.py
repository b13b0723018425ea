"""Device and numeric precision, chosen or checked."""

from typing import Literal

import torch

from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

DEVICES = ("auto", "cpu", "cuda")
Precision = Literal["fp32", "bf16", "fp16"]


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UnknownNameError: for another name.
        UsageError: when CUDA is asked for and absent.
    """
    if name not in DEVICES:
        raise UnknownNameError("device", name, DEVICES)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda was asked for but this machine has no usable CUDA device; use --device cpu.")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def pick_precision(name: str, device: torch.device) -> Precision:
    """Resolve ``auto``: bf16 or else fp16 mixed precision on CUDA, fp32 on the CPU."""
    if name == "bf16" or name == "fp16" or name == "fp32":
        return name  # type: ignore[return-value]
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def device_name(device: torch.device) -> str | None:
    """Return the name of a CUDA device, None for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None
