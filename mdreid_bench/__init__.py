"""Any-to-any multi-modal object re-identification.

From Python, trained or released weights are used through two functions that import torch once they are called, and
stored records are read as a data frame of pandas::

    method = mdreid_bench.load_method("weights.safetensors")
    images = mdreid_bench.read_images(method, {"R": "rgb.jpg", "T": "thermal.jpg"})
    records = mdreid_bench.read_records("results")
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from mdreid_bench.results.frame import read_records
    from mdreid_bench.weights.load_method import load_method, read_images

__all__ = ["__version__", "load_method", "read_images", "read_records"]

OTHER_SYSTEM = (
    "mdreid-bench needs a POSIX system such as Linux or macOS; on Windows use WSL, its subsystem for Linux."
)


def is_supported() -> bool:
    """Tell whether this system has what locks, signals and safe writing of files rest on."""
    return find_spec("fcntl") is not None


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used."""
    if name == "__version__":
        return version("mdreid-bench")
    if name in __all__:
        if not is_supported():
            raise ImportError(OTHER_SYSTEM)
        module = "results.frame" if name == "read_records" else "weights.load_method"
        return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
