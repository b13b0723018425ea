"""The record of one evaluated cell: what was measured, on what, by what, and where it came from."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AwareDatetime, Field, JsonValue, field_validator, model_validator

from mdreid_bench.results.distractors import Distractors
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.storage.hashes import canonical_json
from mdreid_bench.results.stored_part import Count, FileName, Fraction, Hash, Line, Name, StoredPart
from protocols.corruption import Corruption, Sides
from protocols.evaluation import Metrics as Means

SCHEMA_VERSION: Literal[4] = 4
"""Raised whenever a field is added, removed or changes its meaning."""
OLDEST_VERSION = 3
"""Records from this version on are read; what was added since has defaults."""
ADDED = ("open_set", "distractors")
"""Fields of a record that may be filled later, while everything else stays."""
Repetition: TypeAlias = tuple[str, int]
"""What tells apart runs that are averaged."""
CalibrationKind: TypeAlias = Literal["none", "standardised"]
"""What is made of scores so that they can be compared whatever the sensors of both sides."""


class Metrics(StoredPart):
    """Means over the queries that have a positive; fractions, not percentages; no Rank-20 in older records."""

    mAP: Fraction  # noqa: N815 - the field's spelling
    rank1: Fraction
    rank5: Fraction
    rank10: Fraction
    mINP: Fraction  # noqa: N815 - the field's spelling
    rank20: Fraction | None = None

    @classmethod
    def of(cls, means: Means) -> Self:
        """Take the metrics from the summary of an evaluation."""
        return cls.model_validate({name: getattr(means, name) for name in cls.model_fields})


class Interval(StoredPart):
    """95 % bootstrap intervals (low, high) over queries clustered by identity; fractions."""

    mAP: tuple[Fraction, Fraction]  # noqa: N815 - the field's spelling

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.mAP[0] > self.mAP[1]:
            raise ValueError(f"the interval {self.mAP} ends before it starts")
        return self


class Counts(StoredPart):
    """Sizes of the evaluated cell.

    Attributes:
        queries: queries that entered the means.
        queries_without_positive: queries left out because no valid gallery item has their identity.
        gallery: gallery items before exclusion; in a pooled gallery their images, each of which is ranked by itself.
        identities: identities among the queries that entered the means.
        tied_positives: positives whose score equals that of another valid item, summed over queries and trials.
        trials: how often queries were compared with a gallery; the metrics are means over these trials, and the other
            counts, but for ties, are of the different items in them.
        gallery_of_trial: gallery items of each of several trials; None where there is one, or where they differ.
    """

    queries: Count
    queries_without_positive: Count
    gallery: Count
    identities: Count
    tied_positives: Count
    trials: Annotated[int, Field(gt=0)] = 1
    gallery_of_trial: Count | None = None


class CorruptedImages(StoredPart):
    """The fields of :class:`protocols.corruption.Corruption`, None for those that are empty."""

    name: Name
    side: Sides
    sensors: Name | None
    correlated: bool
    seed: Count
    repetition: Count
    published: Name | None

    @classmethod
    def of(cls, spec: Corruption) -> Self:
        """Take the fields of a corruption."""
        return cls.model_validate({name: None if value == "" else value for name, value in vars(spec).items()})

    @property
    def spec(self) -> Corruption:
        """The corruption."""
        texts = {"sensors": self.sensors or "", "published": self.published or ""}
        return Corruption(
            self.name, self.side, correlated=self.correlated, seed=self.seed, repetition=self.repetition, **texts
        )

    @model_validator(mode="after")
    def _known(self) -> Self:
        _ = self.spec  # a ValueError for what no corruption is
        return self


class Provenance(StoredPart):
    """Where and when a record was made; never part of a key.

    Attributes:
        commit: git commit of the installed source tree; None when it is not a checkout.
        dirty: whether the code differed from that commit; None when it is not a checkout.
        gpu: name of the accelerator, None on a CPU.
        created: time of writing, UTC.
        phase_seconds: phase, such as ``"train"``, -> seconds.
        threads: ``"train"`` and ``"extract"`` -> threads of PyTorch, where known; equal bytes need equal ones.
    """

    commit: Hash | None
    dirty: bool | None
    versions: dict[Name, Line]
    python: Line
    platform: Line
    cpu: Line
    cores: Annotated[int, Field(gt=0)]
    gpu: Line | None
    created: AwareDatetime
    phase_seconds: dict[Line, Annotated[float, Field(ge=0)]]
    threads: dict[Line, Annotated[int, Field(gt=0)]] = Field(default_factory=dict)


class RunId(StoredPart):
    """What names the folder of a run.

    Attributes:
        split: how the dataset is divided, where that can be done in several ways; a repetition like a seed.
        sources: other datasets that were trained on; empty where it is its own source, or nothing was trained.
        run_key: hash of all that determines the numbers, apart from the protocol and the limit.
    """

    dataset: Name
    method: Name
    preset: Name
    seed: Count
    split: Name | None = None
    sources: tuple[Name, ...] = ()
    run_key: Hash

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The datasets that were trained on, or would be by a method that trains."""
        return self.sources or (self.dataset,)

    @property
    def repetition(self) -> Repetition:
        """Split, empty where there is only one way to divide the dataset, and seed."""
        return self.split or "", self.seed

    @property
    def folder_name(self) -> str:
        """``<dataset>-<method>-<preset>-s<seed>-<first 10 digits of the key>``; a split stands before the seed.

        ``-from-`` and the sources, where there are any, stand behind the dataset.
        """
        split, dataset = "" if self.split is None else f"-{self.split}", placed(self.sources, self.dataset)
        return f"{dataset}-{self.method}-{self.preset}{split}-s{self.seed}-{self.run_key[:10]}"


def placed(sources: Sequence[str], dataset: str) -> str:
    """Return how names of folders begin: the dataset, and the sources that were trained on instead."""
    return f"{dataset}-from-{'+'.join(sources)}" if sources else dataset


class SharedFields(RunId):
    """The fields that all records of a run have in common.

    Attributes:
        data_kind: ``synthetic`` when the images were generated.
        train_fingerprint: content hash of the training data; None for methods that do not train.
        selection: how the reported epoch was chosen; ``none`` for methods that do not train.
        trunk: name and weights of the trunk, such as ``"mdreid-tiny/synthetic"``.
        trunk_digest: hash of the local or shipped file of those weights; None for others, and in records before 4.
        config_key: hash of the same as the run key without seed and split; records that share it are averaged.
        config_overrides: configuration keys that the user gave, as given; the seed is not among them.
        feature_batch: how many test items are embedded together, where features depend on that; else None.
        image_rules: how many images of the dataset and its sources needed each rule of docs/methods/images.md.
        data_findings: what is wrong with them but forbade nothing: how many by kind, as ``check`` calls it.
        source_cameras: with sources, what became of the vectors of cameras that were not trained on.
        missing: rate at which training items had lost each of their sensors.
    """

    data_kind: Literal["real", "synthetic"]
    train_fingerprint: Hash | None
    method_version: Count
    selection: Literal["last-epoch", "best-test", "none"]
    trunk: Line
    trunk_digest: Hash | None = None
    config_key: Hash
    options: dict[str, JsonValue]
    config_overrides: dict[str, JsonValue]
    feature_batch: Annotated[int, Field(gt=0)] | None = None
    image_rules: dict[Name, Count] = Field(default_factory=dict)
    data_findings: dict[Line, Count] = Field(default_factory=dict)
    source_cameras: Literal["mean", "none", "off"] | None = None
    missing: Fraction = 0.0

    @field_validator("options", "config_overrides")
    @classmethod
    def _plain(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        canonical_json(value)  # raises ValueError for NaN and infinity at any depth
        return value


class Record(SharedFields):
    """One method on one dataset with one protocol and one seed.

    Attributes:
        test_fingerprint: content hash of the test data in use, ``limit`` applied.
        average_precision: the form of AP behind mAP; trapezoid is that of the Market-1501 MATLAB code.
        calibration: what was made of the scores before they were ranked; see docs/mixed-galleries.md.
        rerank: numbers of the re-ranking that came after the comparison, as in file names; None without it.
        mode: how the dataset draws what is compared, in words, where it offers several ways.
        corruption: what was done to the test images before they were embedded; None where they are as they are.
        limit: the ``--limit`` in force, None for the full test set.
        precision: numeric type that the embeddings were computed in; they are stored and compared in fp32.
        chance: what a random order of the same gallery scores for the same queries, in expectation.
        open_set: figures with some of the identities enrolled; None where they were not asked for.
        distractors: figures of growing galleries, by source of what is added to them.
        per_query: file name of the per-query values, in the record's own folder.
        per_query_digest: hash of that file, so that nothing in it can be altered.
    """

    schema_version: Literal[3, 4] = SCHEMA_VERSION
    test_fingerprint: Hash
    protocol: Name
    average_precision: Literal["standard", "trapezoid"] = "standard"
    calibration: CalibrationKind = "none"
    rerank: Name | None = None
    mode: Line | None = None
    corruption: CorruptedImages | None = None
    limit: Annotated[int, Field(gt=0)] | None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    metrics: Metrics
    interval: Interval | None = None
    chance: Metrics
    counts: Counts
    open_set: OpenSet | None = None
    distractors: tuple[Distractors, ...] = ()
    per_query: FileName | None = None
    per_query_digest: Hash | None = None
    provenance: Provenance
