"""Which matrix kernels NumPy's BLAS has chosen for this processor."""

import ctypes
import importlib
from functools import cache

_EXTENSION = "numpy.linalg._umath_linalg"
"""A part of NumPy that is linked with its BLAS."""
_PREFIXES, _SUFFIXES = ("scipy_", ""), ("64_", "")
"""What the builds of OpenBLAS put around the names of its functions."""


@cache
def openblas_kernels() -> str | None:
    """Return the name that OpenBLAS gives its kernels in use, such as ``"Haswell"``; None for any other BLAS."""
    try:
        library = ctypes.CDLL(importlib.import_module(_EXTENSION).__file__)
    except (ImportError, OSError, TypeError):
        return None
    for name in (f"{prefix}openblas_get_corename{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES):
        function = getattr(library, name, None)
        if function is not None:
            function.restype = ctypes.c_char_p
            found = function()
            return found.decode() if isinstance(found, bytes) else None
    return None
