"""What a method declares of itself; nothing here needs torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mdreid_bench.config.resolve import Recipes
from protocols.modality import RNT, Modality
from protocols.suites import Setting

Vectors = NDArray[np.float32]


class Options(BaseModel):
    """Base of a method's own options: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Comparison(Protocol):
    """How the embeddings of two sides are compared where their inner product does not say it all."""

    def __call__(self, setting: Setting, query: Vectors, gallery: Vectors) -> tuple[Vectors, Vectors]:
        """Return vectors whose inner product is the similarity, rows in the same order.

        Args:
            setting: under which the two sides meet.
            query: (nq, E) as stored.
            gallery: (ng, E), likewise.

        Raises:
            UsageError: for a setting that cannot be compared in this way.
        """


def inner_product(options: Mapping[str, Any], sensors: Modality) -> Comparison | None:
    """Compare embeddings as they are, whatever the options and the sensors of the dataset."""
    return None


def all_served(subset: Modality, options: Mapping[str, Any], sensors: Modality) -> str | None:
    """Compare items by whatever sensors saw them."""
    return None


GREY = "a mid-grey image of the same camera stands in"
"""How methods train on items that lack sensors whose place such images take when testing."""
UNPAIRED = "row i of each sensor is some image of one identity"
"""How a method trains on items that lack sensors where its losses cannot do without any, and need no items either."""


def independent(options: Mapping[str, Any]) -> bool:
    """Say that the features of an item never depend on the other items of its batch."""
    return False


@dataclass(frozen=True)
class DataFacts:
    """What a method must know of the training data to size its parts.

    Attributes:
        identities: number of training identities C.
        cameras: number of cameras, the rows of the camera table.
        modalities: the sensors of the dataset; a method has parts for each of them.
    """

    identities: int
    cameras: int
    modalities: Modality = RNT


@dataclass(frozen=True)
class MethodCard:
    """What a method is, where it comes from, and what it declares.

    Attributes:
        name: registered name, as typed on the command line.
        title: name in tables.
        paper: title of the paper.
        venue: where and when it appeared.
        url: of the paper.
        summary: one sentence on what it does.
        trains: False for methods that have nothing to train.
        target: ``"module:Class"``, where the entry point names this card; empty where it names the class itself.
        version: to be raised by one whenever a change of the code changes the numbers; part of the run key.
        options_model: the method's own options, all with defaults.
        recipes: settings laid over a preset, by preset and dataset name (``"*"`` for every dataset).
        evaluation_options: names of options that change embeddings but not the trained weights.
        derived_from: values of some of these under which the embeddings hold all that other values need; see
            ``Method.derive``.
        later_options: options that came when records had been stored already, with the values under which they change
            nothing; then they are no part of the run key.
        unpaired: whether it can also train where items were seen by one sensor alone: row i of each sensor in a
            training batch is then some image of one identity, not one item that all sensors saw.
        partial: what its losses do with items of a batch that lack sensors, in a few words; empty where they need
            all.
        needs_all: why they do, where it cannot train on images of identities (``unpaired``) either, in a few words.
        ranked: False for what only shows where the floor is, which no table marks as best or second best.
        adapts: whether it learns from the training items of the evaluated dataset without their identities, beside
            the labelled ones of other datasets.
        batch_dependent: from the method's options to whether the features of an item depend on the other items of its
            batch. Then the test batch is part of the run key, records name it, and batches are never taken apart.
        comparison: from the method's options and the sensors of the dataset to how two sides are compared; None
            stands for the inner product of the embeddings.
        unserved: from a subset of the dataset's sensors, the method's options and these sensors to the reason why
            items are not compared by that subset, in a few words; None where they are. Protocols with it on a side
            are "not applicable"; ``Method.embed`` returns vectors of it all the same, with which nothing is measured.
    """

    name: str
    title: str
    paper: str
    venue: str
    url: str
    summary: str
    trains: bool = True
    target: str = ""
    version: int = 1
    options_model: type[Options] = Options
    recipes: Recipes = field(default_factory=dict)
    evaluation_options: frozenset[str] = frozenset()
    derived_from: Mapping[str, Any] = field(default_factory=dict)
    later_options: Mapping[str, Any] = field(default_factory=dict)
    unpaired: bool = False
    partial: str = ""
    needs_all: str = "its losses need all sensors of an item"
    ranked: bool = True
    adapts: bool = False
    batch_dependent: Callable[[Mapping[str, Any]], bool] = independent
    comparison: Callable[[Mapping[str, Any], Modality], Comparison | None] = inner_product
    unserved: Callable[[Modality, Mapping[str, Any], Modality], str | None] = all_served

    @property
    def with_lost_sensors(self) -> str:
        """How it trains where training items have lost sensors, or why it does not, in a few words."""
        if self.partial or not self.trains:
            return self.partial
        return UNPAIRED if self.unpaired else f"not applicable: {self.needs_all}"

    def refusal(self, setting: Setting, options: Mapping[str, Any], sensors: Modality) -> str | None:
        """Say why the method does not serve a setting, in a few words; None where it does."""
        reasons = (self.unserved(subset, options, sensors) for subset in setting.choices(sensors))
        return next(filter(None, reasons), None)
