from collections.abc import Callable
from pathlib import Path

import pytest

from mdreid_bench.data.synthetic.generate import PLANS
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from tests.data.trees import DATASETS, small_plan


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own and no configured data root."""
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MDREID_DATA", raising=False)


def fixed(plan: list[PlannedFrame]) -> Callable[[Scale], list[PlannedFrame]]:
    def planned(scale: Scale) -> list[PlannedFrame]:
        return plan

    return planned


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Replace the plan of every generator by its first identities; return the numbers of triplets."""
    plans = {dataset: small_plan(dataset) for dataset in DATASETS}
    for dataset, plan in plans.items():
        monkeypatch.setitem(PLANS, dataset, fixed(plan))
    return {dataset: len(plan) for dataset, plan in plans.items()}
