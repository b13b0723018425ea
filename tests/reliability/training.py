"""A method to be trained on a few planted images, for tests of what can go wrong."""

import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method

CPU = torch.device("cpu")


def untrained(index: DatasetIndex, config: RunConfig) -> Method:
    """Build the method of a configuration with the random weights of its seed."""
    torch.manual_seed(config.seed)
    facts = DataFacts(index.train.identities, index.card.cameras)
    return registry.get(config.method).build(config, facts)
