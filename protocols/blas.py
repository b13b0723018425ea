"""Which matrix kernels NumPy's BLAS has chosen for this processor, and its product itself."""

import ctypes
import importlib
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

_EXTENSION = "numpy.linalg._umath_linalg"
"""A part of NumPy that is linked with its BLAS."""
_PREFIXES, _SUFFIXES = ("scipy_", ""), ("64_", "")
"""What the builds of OpenBLAS put around the names of its functions."""
_ROWS, _PLAIN, _TRANSPOSED = 101, 111, 112
"""How CBLAS calls matrices that lie row after row, as they are and transposed."""


@cache
def openblas_kernels() -> str | None:
    """Return the name that OpenBLAS gives its kernels in use, such as ``"Haswell"``; None for any other BLAS."""
    function = _function("openblas_get_corename")
    if function is None:
        return None
    function.restype = ctypes.c_char_p
    found = function()
    return found.decode() if isinstance(found, bytes) else None


def multiply(left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32], *, add: bool) -> None:
    """Write the product of ``left`` and the transposed ``right`` into ``out``, or add it to what is there.

    NumPy's own product cannot add, makes a copy of what it cannot write in place, and takes another way where both
    sides are the same array. It is called only where OpenBLAS has none to be found.

    Args:
        left: ``(m, k)``; the elements of a row lie side by side, here and in the others.
        right: ``(n, k)``.
        out: ``(m, n)``.
        add: whether to add.
    """
    function = _product()
    if function is None:
        product = np.matmul(left, right.T)
        out[...] = out + product if add else product
        return
    sides = [(array.ctypes.data, array.strides[0] // array.itemsize) for array in (left, right, out)]
    sizes, before = (*out.shape, left.shape[1]), 1.0 if add else 0.0
    function(_ROWS, _PLAIN, _TRANSPOSED, *sizes, 1.0, *sides[0], *sides[1], before, *sides[2])


@cache
def cuts(length: int) -> tuple[int, ...]:
    """Return where ``multiply`` cuts vectors of a length: the sums of the parts are added up one after the other.

    It is found by sums that show it. 2^24 and 1 are 2^24 in float32, and so are 2^24, 1 and 1 in this order; only
    behind a cut the ones come to 2 first.
    """
    places = np.arange(max(length - 2, 0))
    left = np.zeros((len(places), length), dtype=np.float32)
    left[places, places] = 2.0**24
    left[places, places + 1] = left[places, places + 2] = 1
    sums = np.empty((len(places), max(length, 64)), dtype=np.float32)
    multiply(left, np.ones((sums.shape[1], length), dtype=np.float32), sums, add=False)
    return tuple((np.flatnonzero(sums[:, 0] != 2.0**24) + 1).tolist())


def _function(name: str) -> "ctypes._NamedFuncPointer | None":
    """Return a function of NumPy's BLAS, where it is a build of OpenBLAS with such a function."""
    try:
        library = ctypes.CDLL(importlib.import_module(_EXTENSION).__file__)
    except (ImportError, OSError, TypeError):
        return None
    for full in (f"{prefix}{name}{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES):
        if (function := getattr(library, full, None)) is not None:
            return cast("ctypes._NamedFuncPointer", function)
    return None


@cache
def _product() -> "ctypes._NamedFuncPointer | None":
    """Return the product of OpenBLAS, told the types of its arguments; None where it is not to be had."""
    function = _function("cblas_sgemm")
    if function is None:
        return None
    integer = ctypes.c_int64 if function.__name__.endswith("64_") else ctypes.c_int
    matrix = (ctypes.c_void_p, integer)
    function.restype = None
    function.argtypes = [*(ctypes.c_int,) * 3, *(integer,) * 3, ctypes.c_float, *matrix * 2, ctypes.c_float, *matrix]
    return function
