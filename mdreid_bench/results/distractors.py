"""What is left of the figures when the gallery grows by items of identities that nobody asks for."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mdreid_bench.results.stored_part import Count, Fraction, Hash, Line, StoredPart

Kind: TypeAlias = Literal["dataset", "training items", "images", "vectors"]
"""Test items of another dataset; the training items of the same one, which a trained model has seen; a folder of
images; stored vectors."""
Bounds = tuple[Fraction, Fraction]


class GallerySize(StoredPart):
    """The figures with so many distractors.

    Attributes:
        gallery: all gallery items, distractors counted in; of several trials, in the first.
        interval: 95 % bootstrap interval of mAP over queries clustered by identity.
        rank1_interval: likewise; Rank-1 always counts items.
        chance: mAP of a random order in expectation.
        rank1_chance: likewise.
    """

    distractors: Count
    gallery: Count
    mAP: Fraction  # noqa: N815 - the field's spelling
    rank1: Fraction
    interval: Bounds
    rank1_interval: Bounds
    chance: Fraction
    rank1_chance: Fraction


class Distractors(StoredPart):
    """The figures of growing galleries, from none to all distractors of a source.

    Attributes:
        source: name of the dataset or folder.
        digest: hash of the file of their vectors.
        seed: of the nested subsets.
    """

    source: Line
    kind: Kind
    digest: Hash
    seed: Count
    sizes: Annotated[tuple[GallerySize, ...], Field(min_length=2)]

    @property
    def key(self) -> tuple[str, str, int]:
        """What only one entry of a record has."""
        return self.source, self.kind, self.seed
