"""Every registered method keeps its contract, whoever wrote it."""

from collections.abc import Callable

import pytest

from mdreid_bench.models import registry
from mdreid_bench.testing import METHOD_CHECKS


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", registry.names())
def test_the_method_keeps_its_contract(name: str, check: Callable[[str], None]) -> None:
    check(name)
