"""What every registered method and dataset must do, as functions that a test calls with its name.

They raise ``AssertionError`` with a sentence, or the error that a user would see, and need no test framework.
"""

from mdreid_bench.testing.datasets import DATASET_CHECKS
from mdreid_bench.testing.methods import METHOD_CHECKS

__all__ = ["DATASET_CHECKS", "METHOD_CHECKS"]
