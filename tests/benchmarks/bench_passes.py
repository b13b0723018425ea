"""How often images pass the trunk for the 49 protocols, by counting."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.models.method import DataFacts
from mdreid_bench.models.trunk.trunk import Trunk
from mdreid_bench.progress import Silent
from protocols.modality import RNT, subsets
from protocols.protocol import protocols_of
from tests.benchmarks.measuring import Benchmark, require
from tests.benchmarks.paper_trunk import CPU

TRIPLETS = 836
"""Of the test set of RGBNT201, each query and gallery item at once."""
RELEASED = len(protocols_of(RNT)) * 2 * (2 * TRIPLETS) * 3
"""Images that pass the trunk in the released procedure: for every protocol, the list of queries and gallery items
goes through twice, once with the sensors of each side, and blank images stand for those left out
(docs/methods/training.md, "Query and gallery subsets")."""


def shaped_like_rgbnt201() -> DatasetIndex:
    """Return an index of 836 triplets, whose images repeat those of a small synthetic set."""
    root = resolve_data_root(None, "rgbnt201", Silent()).root
    index = open_dataset("rgbnt201", root, Silent())
    rows = np.arange(TRIPLETS)
    return replace(index, test=index.test.take(rows % len(index.test)))


def test_trunk_passes_of_the_grid(benchmark: Benchmark) -> None:
    index = shaped_like_rgbnt201()
    size = index.card.image_size
    flags = {"trunk": {"pretrained": None}}
    config = resolve("mdreid", CARD.options_model, CARD.recipes, "rgbnt201", size, "tiny", Overrides(flags=flags))
    torch.manual_seed(0)
    method = MDReID.build(config, DataFacts(index.train.identities, index.card.cameras))
    passed: list[int] = []
    (trunk,) = (module for module in method.modules() if isinstance(module, Trunk))
    patch: Any = trunk.patch
    assert isinstance(patch, nn.Module)
    patch.register_forward_hook(Counter(passed))
    benchmark.pedantic(lambda: embedded(method, index, config, CPU, subsets(RNT)), rounds=1)
    assert sum(passed) == 3 * TRIPLETS
    benchmark.extra_info["images through the trunk"] = sum(passed)
    benchmark.extra_info["in the released procedure"] = RELEASED
    what = f"trunk passes of the released procedure against ours, 49 protocols, {TRIPLETS} triplets"
    require(benchmark, what, RELEASED / sum(passed), 150, "times", least=True)


class Counter:
    """A hook that notes the size of every batch; copies of it share the notes."""

    def __init__(self, passed: list[int]) -> None:
        self.passed = passed

    def __deepcopy__(self, _: Any) -> "Counter":
        return self

    def __call__(self, _: nn.Module, given: Any, __: Any) -> None:
        self.passed.append(len(given[0]))
