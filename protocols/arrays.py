"""Names for the kinds of arrays that the package passes around."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""Scores or embeddings, of any floating precision."""
Values: TypeAlias = NDArray[np.float64]
"""One metric value per query; NaN for a query without a valid positive."""
Counts: TypeAlias = NDArray[np.int64]
"""Counts, ranks or positions."""
