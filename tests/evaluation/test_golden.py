"""Numbers that may not change: what was measured before the code was rebuilt, on the same embeddings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.data.items import Items, Role
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from protocols.exclusion import Exclusion, Labels
from protocols.modality import RNT, subsets
from protocols.suites import resolve as settings_of
from tests.results.factory import make_record
from tests.results.facts import make_facts

GOLDEN = Path(__file__).parent / "golden"
WANTED: dict[str, Any] = json.loads((GOLDEN / "guard.json").read_text(encoding="utf-8"))
"""For each method: metrics, queries, interval, chance and tied positives by protocol; names and shapes of weights.

Both come from synthetic MSVR310, preset tiny, seed 1. The embeddings beside it are those of 40 of the test items, cut
to 32 of their elements in half precision.
"""
METHODS = tuple(WANTED["scores"])
IDENTITIES, CAMERAS = 40, 8


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray[Any, Any]]:
    with np.load(GOLDEN / "embeddings.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("method", METHODS)
def test_every_figure_of_every_protocol_is_what_it_was(
    method: str, arrays: dict[str, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    # The vectors are cut, so they are compared as they are: by inner products.
    record = make_record(method=method, dataset="msvr310", options={})
    folder = Store(tmp_path).folder(record)
    scope = folder.scope(None)
    embeddings = EmbeddingFolder(scope.embeddings)
    embeddings.path.mkdir(parents=True)
    for subset in subsets(RNT):
        np.save(embeddings.matrix(subset), arrays[f"{method}/{subset}"].astype(np.float32))
    embeddings.write_items(_table(arrays))
    scorer = CellScorer(make_facts(record), scope)
    for setting in settings_of(["all", "mixed"], RNT):
        found = _figures(scorer(embeddings.read_items(), setting))
        assert found == pytest.approx(WANTED["scores"][method][str(setting)], rel=0, abs=1e-12), setting


@pytest.mark.parametrize("method", [name for name in METHODS if registry.card(name).trains])
def test_weights_have_the_names_and_shapes_that_they_had(method: str) -> None:
    card = registry.card(method)
    flags = {"trunk": {"pretrained": None}}
    config = resolve(method, card.options_model, card.recipes, "msvr310", (128, 256), "tiny", Overrides(flags=flags))
    torch.manual_seed(0)
    built = registry.get(method).build(config, DataFacts(IDENTITIES, CAMERAS))
    shapes = {name: list(value.shape) for name, value in built.state_dict().items()}
    assert shapes == WANTED["state"][f"msvr310 {method}"]


def _table(arrays: dict[str, np.ndarray[Any, Any]]) -> StoredItems:
    count = len(arrays["names"])
    roles = np.zeros(count, dtype=np.uint8)
    for rows, role in ((arrays["query"], Role.QUERY), (arrays["gallery"], Role.GALLERY)):
        roles[rows] |= role.value
    labels = Labels(arrays["identity"], arrays["camera"], arrays["scene"])
    items = Items(arrays["names"], labels, np.full(count, RNT.value, dtype=np.uint8), roles)
    return StoredItems(items, RNT, Exclusion.SCENE, "0" * 32, None)


def _figures(record: Record) -> list[float]:
    m, chance, counts = record.metrics, record.chance, record.counts
    assert record.interval is not None
    means = [m.mAP, m.rank1, m.rank5, m.rank10, m.mINP, counts.queries, *record.interval.mAP]
    return [*means, chance.mAP, chance.rank1, counts.tied_positives]
