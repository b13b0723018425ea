"""Sums of successive reciprocals, the building block of expectations over tied items."""

import numpy as np

from protocols.arrays import Counts, Values

_TABLE_END = 64
_HARMONIC: Values = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, _TABLE_END + 1))])


def reciprocal_sum(above: Counts, size: Counts) -> Values:
    """Return 1/(above + 1) + 1/(above + 2) + ... + 1/(above + size), in time independent of the size.

    This is the difference H(above + size) - H(above) of harmonic numbers. Up to H(64) it is looked up; beyond, the
    expansion H(n) = log(x) + gamma + 1/(24 x^2) - 7/(960 x^4) + 31/(8064 x^6) - ... with x = n + 1/2 is subtracted
    term by term, so that a few items far down a long list keep their relative precision.

    Args:
        above: ``(groups,)``, at least 0.
        size: ``(groups,)``, at least 0.
    """
    end = above + size
    small = _HARMONIC[np.minimum(end, _TABLE_END)] - _HARMONIC[np.minimum(above, _TABLE_END)]
    low = np.maximum(above, _TABLE_END) + 0.5
    high = np.maximum(end, _TABLE_END) + 0.5
    squares = 1.0 / high**2 - 1.0 / low**2
    fourths = 1.0 / high**4 - 1.0 / low**4
    sixths = 1.0 / high**6 - 1.0 / low**6
    large = np.log1p((high - low) / low) + squares / 24 - fourths * (7 / 960) + sixths * (31 / 8064)
    return np.asarray(small + large, dtype=np.float64)
