"""What is stored with a run so that its records and its method can be made again without the data set."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from mdreid_bench.errors import DataError
from mdreid_bench.results.schema import Count, Hash, Line, Name, Part
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.hashes import canonical_hash
from protocols.modality import RNT, Modality

_DIGEST = "digest"
FolderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=250)]
Positive = Annotated[int, Field(gt=0)]
Letters = Annotated[str, AfterValidator(lambda text: str(Modality.parse(text)))]
"""Sensors, such as ``"RNT"``."""


class SharedFacts(Part):
    """The fields that all records of a run have in common; see :class:`mdreid_bench.results.schema.Record`."""

    dataset: Name
    data_kind: Literal["real", "synthetic"]
    train_fingerprint: Hash | None
    method: Name
    method_version: Count
    preset: Name
    seed: Count
    selection: Literal["last-epoch", "best-test", "none"]
    trunk: Line
    run_key: Hash
    config_key: Hash
    options: dict[str, JsonValue]
    config_overrides: dict[str, JsonValue]


class GivenWeights(Part):
    """A weights file of the user's: its absolute path and the SHA-256 that it had when it was evaluated."""

    path: str
    digest: Hash


class RunFacts(Part):
    """The content of ``run.json``.

    Attributes:
        shared: what all records of the run have in common.
        identities: training identities, the size of the classifiers.
        cameras: rows of the camera table.
        sensors: of the data set; those of the three data sets of the suite where an older file does not say.
        training: name of the folder of trained weights below ``results/trained``; None when nothing was trained.
        weights: weights that the user gave instead.
        config: hash of what determines the numbers in the configuration beside it; None in files of earlier versions.
    """

    schema_version: Literal[1] = 1
    shared: SharedFacts
    identities: Positive
    cameras: Positive
    sensors: Letters = str(RNT)
    training: FolderName | None
    weights: GivenWeights | None
    config: Hash | None = None

    @property
    def modalities(self) -> Modality:
        """The sensors of the data set."""
        return Modality.parse(self.sensors)

    def write(self, path: Path) -> None:
        """Write atomically, with a digest of the content.

        Raises:
            DataError: when the file system refuses.
        """
        content = self.model_dump(mode="json")
        atomic.write_json(path, content | {_DIGEST: canonical_hash(content)})

    @classmethod
    def read(cls, path: Path) -> "RunFacts":
        """Read a file that :meth:`write` made.

        Raises:
            DataError: when it is missing, damaged, changed or of another version.
        """
        try:
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict) or content.pop(_DIGEST, None) != canonical_hash(content):
                raise ValueError("the digest does not match")
            return cls.model_validate(content)
        except FileNotFoundError:
            raise DataError(f"There is no {path}; evaluate the run once more with 'mdreid-bench run'.") from None
        except (OSError, ValueError, RecursionError):
            raise DataError(f"{path} is damaged; evaluate the run once more with 'mdreid-bench run'.") from None

    def record_fields(self) -> dict[str, Any]:
        """Return what a record takes from here, as keyword arguments."""
        return {name: getattr(self.shared, name) for name in SharedFacts.model_fields}
