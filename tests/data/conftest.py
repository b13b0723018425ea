from pathlib import Path

import pytest

from mdreid_bench.data import registry
from tests.data.trees import DATASETS, small_plan


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own and no configured data root."""
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MDREID_DATA", raising=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Replace the plan of every generator by its first identities; return the numbers of items."""
    plans = {dataset: small_plan(dataset) for dataset in DATASETS}
    for dataset, plan in plans.items():
        monkeypatch.setattr(type(registry.get(dataset)), "plan", lambda *_, plan=plan: plan)
    return {dataset: len(plan) for dataset, plan in plans.items()}
