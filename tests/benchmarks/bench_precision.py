"""What half precision does to embeddings and to mAP, on synthetic MSVR310 with the small pretrained trunk."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.progress import Silent
from protocols.evaluation import evaluate
from protocols.modality import RNT, Modality, subsets
from protocols.protocol import Protocol
from protocols.ranking import rank_embeddings
from tests.benchmarks.measuring import Benchmark
from tests.benchmarks.paper_trunk import CPU

PROTOCOLS = tuple(map(Protocol.parse, ("RNT-to-RNT", "R-to-NT")))
Matrices = Mapping[Modality, NDArray[np.float32]]


@cache
def data() -> DatasetIndex:
    return open_dataset("msvr310", resolve_data_root(None, "msvr310", Silent()).root, Silent())


@cache
def embeddings(name: str, precision: str) -> Matrices:
    """Embed the test set with a method as it is before training on these data."""
    index, method = data(), registry.get(name)
    flags = {"evaluation": {"precision": precision}}
    size = index.card.image_size
    model, recipes = method.card.options_model, method.card.recipes
    config = resolve(name, model, recipes, "msvr310", size, "tiny", Overrides(flags=flags))
    torch.manual_seed(0)
    built = method.build(config, DataFacts(index.train.identities, index.card.cameras))
    return embedded(built, index, config, CPU, subsets(RNT))


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1))


def mean_average_precision(matrices: Matrices, protocol: Protocol) -> float:
    items = data().test
    labels = (items.labels.take(items.query), items.labels.take(items.gallery))
    sides = (matrices[protocol.query][items.query], matrices[protocol.gallery][items.gallery])
    return 100 * evaluate(rank_embeddings(*sides, *labels, data().card.exclusion)).summary().mAP


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["clip-zero-shot", "mdreid", "single-classifier", "top-reid", "editor"])
def test_half_precision(benchmark: Benchmark, name: str, precision: str) -> None:
    half = benchmark.pedantic(embeddings, args=(name, precision), rounds=1)
    exact = embeddings(name, "fp32")
    cosines = np.concatenate([cosine(exact[subset], half[subset]) for subset in subsets(RNT)])
    benchmark.extra_info["smallest cosine to fp32"] = round(float(cosines.min()), 5)
    for protocol in PROTOCOLS:
        before, after = (mean_average_precision(m, protocol) for m in (exact, half))
        benchmark.extra_info[f"mAP {protocol}"] = f"{before:.2f} -> {after:.2f}"
