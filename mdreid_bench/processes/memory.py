"""What running out of memory looks like, on a GPU and on a CPU."""

import torch

_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that a device or the machine has no memory left."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _PHRASES)


def release(device: torch.device) -> None:
    """Give cached blocks of a GPU back, so that smaller ones fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
