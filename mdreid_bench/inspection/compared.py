"""The two sides of a protocol with their vectors: how similar pairs are, and whether right, wrong or left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data import registry as datasets
from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import trials_of
from mdreid_bench.models import registry
from mdreid_bench.results.run_facts import RunFacts
from protocols.arrays import Counts
from protocols.evaluation import NoValidQueryError, PerQuery, evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.modality import Modality
from protocols.ranking import NonFiniteScoreError, rank_embeddings
from protocols.scoring import TILE_QUERIES, inner_products
from protocols.suites import Setting
from protocols.trial import Trial

_PAIR_BYTES = 32
"""What one pair takes at most while it is looked at: its score, copies of it, its kind."""


class Kind(IntEnum):
    """What a gallery item is to a query."""

    WRONG = 0
    RIGHT = 1
    EXCLUDED = 2


@dataclass(frozen=True, eq=False)
class Compared:
    """Query and gallery of the first trial of a protocol.

    Attributes:
        setting: the protocol.
        items: the test items, to which the rows of the trial belong.
        exclusion: which gallery items a query must not see.
        trial: who is compared with whom, and by which sensors.
        trials: how many trials the protocol has; only the first is looked at.
        query: ``(nq, E)`` vectors, whose inner products with ``gallery`` are the similarities.
        gallery: ``(ng, E)``.
        memory_budget: bytes for scores and what else grows with a chunk of queries.
    """

    setting: Setting
    items: Items
    exclusion: Exclusion
    trial: Trial
    trials: int
    query: NDArray[np.float32]
    gallery: NDArray[np.float32]
    memory_budget: int

    @classmethod
    def read(
        cls, facts: RunFacts, folder: EmbeddingFolder, stored: StoredItems, setting: Setting, memory_budget: int
    ) -> "Compared":
        """Take both sides from stored embeddings, as ``score`` compares them.

        Raises:
            UsageError: for a setting that the method's comparison does not know.
            DataError: when embeddings are damaged, or no item has the sensors asked for.
        """
        shared = facts.shared
        trials = trials_of(datasets.get(shared.dataset), stored.items, setting)
        trial = trials[0]
        if not len(trial.query) or not len(trial.gallery):
            raise DataError(f"{setting} cannot be shown from {folder.path}: no item has the sensors asked for.")
        query = folder.vectors(stored, trial.query, trial.query_sensors)
        gallery = folder.vectors(stored, trial.gallery, trial.gallery_sensors)
        comparison = registry.card(shared.method).comparison(shared.options, facts.modalities)
        if comparison is not None:
            query, gallery = comparison(setting, query, gallery)
        return cls(
            setting, stored.items, stored.exclusion_under(setting), trial, len(trials), query, gallery, memory_budget
        )

    @cached_property
    def asked(self) -> Labels:
        """Labels of the nq queries."""
        return self.items.labels.take(self.trial.query)

    @cached_property
    def offered(self) -> Labels:
        """Labels of the ng gallery items."""
        return self.items.labels.take(self.trial.gallery)

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """``(ng,)`` names of the gallery items."""
        return self.items.names[self.trial.gallery]

    @cached_property
    def measured(self) -> PerQuery:
        """The metrics of every query, with items, not identities, taking the places.

        Raises:
            DataError: for a similarity that is not finite, or when no query has a positive that it may see.
        """
        sides = (self.query, self.gallery, self.asked, self.offered)
        try:
            found = evaluate(rank_embeddings(*sides, self.exclusion, memory_budget=self.memory_budget))
            found.summary()
        except NonFiniteScoreError as error:
            asked, offered = self.items.names[self.trial.query[error.query]], self.names[error.gallery]
            raise DataError(
                f"{self.setting} cannot be shown: the similarity of query {asked} with gallery item {offered} is "
                f"{error.score}; move the stored embeddings away and run again."
            ) from None
        except NoValidQueryError as error:
            raise DataError(f"{self.setting} cannot be shown: {error}") from None
        return found

    def chunks(self) -> Iterator[Counts]:
        """Yield the places of all queries in order, so many at once that their pairs fit into the memory budget."""
        fitting = self.memory_budget // (_PAIR_BYTES * max(1, len(self.gallery)))
        size = max(1, min(TILE_QUERIES, fitting))
        for start in range(0, len(self.query), size):
            yield np.arange(start, min(start + size, len(self.query)))

    def similarities(self, places: Counts) -> NDArray[np.float32]:
        """Return the similarity of some queries, given by their places, with the whole gallery, ``(q, ng)``."""
        scores = np.empty((len(places), len(self.gallery)), dtype=np.float32)
        inner_products(self.query[places], self.gallery, out=scores)
        return scores

    def kinds(self, places: Counts) -> NDArray[np.uint8]:
        """Return the :class:`Kind` of every pair of some queries with the whole gallery, ``(q, ng)``."""
        asked, offered = self.asked.take(places), self.offered
        same = asked.identity[:, None] == offered.identity
        found = np.where(same, np.uint8(Kind.RIGHT), np.uint8(Kind.WRONG))
        own, others = self.exclusion.attribute(asked), self.exclusion.attribute(offered)
        if own is not None and others is not None:
            found[same & (own[:, None] == others)] = Kind.EXCLUDED
        if self.exclusion.hidden:
            found[self.exclusion.hides(asked.camera, offered.camera)] = Kind.EXCLUDED
        return found

    def query_sensors(self, place: int) -> Modality:
        """Return the sensors by which a query is known."""
        return Modality(int(self.trial.query_sensors[place]))

    def gallery_sensors(self, place: int) -> Modality:
        """Return the sensors by which a gallery item is known."""
        return Modality(int(self.trial.gallery_sensors[place]))
