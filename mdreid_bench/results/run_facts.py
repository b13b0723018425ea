"""What is stored with a run so that its records and its method can be made again without the dataset."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, StringConstraints

from mdreid_bench.config import plain_yaml
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import DataError
from mdreid_bench.results.schema import SharedFields
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.storage.place import NotOfThisPlaceError, read_sealed
from mdreid_bench.results.stored_part import Hash, SealedPart, StoredPart
from protocols.modality import Modality

FolderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=250)]
Positive = Annotated[int, Field(gt=0)]
Letters = Annotated[str, AfterValidator(lambda text: str(Modality.parse(text)))]
"""Sensors, such as ``"RNT"``."""


class GivenWeights(StoredPart):
    """A weights file of the user's: its absolute path and the SHA-256 that it had when it was evaluated."""

    path: str
    digest: Hash


class RunFacts(SealedPart):
    """The content of ``run.json``.

    Attributes:
        identities: training identities, the size of the classifiers.
        cameras: rows of the camera table.
        sensors: of the dataset.
        training: name of the folder of trained weights below ``results/trained``; None when nothing was trained.
        config: hash of what determines the numbers in the configuration beside it.
    """

    schema_version: Literal[2] = 2
    shared: SharedFields
    identities: Positive
    cameras: Positive
    sensors: Letters
    training: FolderName | None
    weights: GivenWeights | None
    config: Hash

    @property
    def modalities(self) -> Modality:
        """The sensors of the dataset."""
        return Modality.parse(self.sensors)

    @classmethod
    def read(cls, path: Path) -> "RunFacts":
        """Read a file that :meth:`write` made.

        Raises:
            DataError: when it is missing, damaged, changed, of another run or of another version.
        """
        again = "evaluate the run once more with 'mdreid-bench run', which writes it anew"
        try:
            return cls.model_validate(read_sealed(path))
        except FileNotFoundError:
            raise DataError(f"There is no {path}; {again}.") from None
        except NotOfThisPlaceError as error:
            raise DataError(f"The file {path} {error}; {again}.") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); make it readable, or {again}.") from None
        except ValueError:
            raise DataError(f"{path} is damaged; {again}.") from None


def read_config(path: Path, facts: RunFacts) -> RunConfig:
    """Read the configuration of a run with these facts.

    Raises:
        DataError: when the file is missing, damaged, changed, or that of another run.
    """
    again = "evaluate the run once more with 'mdreid-bench run', which writes it anew"
    try:
        config = RunConfig.model_validate(plain_yaml.load(read_regular(path).decode()))
    except FileNotFoundError:
        raise DataError(f"There is no {path}; {again}.") from None
    except (OSError, ValueError, yaml.YAMLError):
        raise DataError(f"{path} is damaged; {again}.") from None
    if facts.config != canonical_hash(config.determining()):
        raise DataError(f"{path} is not the configuration that the run was made with; {again}.")
    return config
