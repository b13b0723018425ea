"""Every registered dataset with a synthetic copy keeps its contract."""

from collections.abc import Callable

import pytest

from mdreid_bench.data import registry
from mdreid_bench.testing import DATASET_CHECKS

DRAWABLE = [name for name in registry.names() if registry.get(name).drawable]


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", DRAWABLE)
def test_the_dataset_keeps_its_contract(name: str, check: Callable[[str], None]) -> None:
    check(name)
