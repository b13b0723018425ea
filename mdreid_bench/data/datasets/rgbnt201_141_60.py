"""RGBNT201 divided otherwise: 141 identities are trained on, and the other 60 are tested with."""

import re
from dataclasses import replace
from pathlib import Path

from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset
from mdreid_bench.data.datasets.rgbnt201 import RGBNT201
from mdreid_bench.data.items import Role
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.files import read_regular

LIST = "train_141.txt"


class RGBNT201Of141(RGBNT201):
    """The images of RGBNT201; the identities to train on stand in ``train_141.txt``, which is not published.

    It has a name of its own because its figures are not to be compared with those of the usual 171 and 30
    identities (docs/methods/datasets.md, "RGBNT201").
    """

    card = replace(
        RGBNT201.card,
        name="rgbnt201-141-60",
        title="RGBNT201-141-60",
        counts=SplitCounts(None, 141, None, 60, None, 60),
        layout=f"RGBNT201/{{train_171,test}}/{{RGB,NI,TI}}/*.jpg and RGBNT201/{LIST}, the identities to train on",
        folders=(RGBNT201.card.title,),
    )
    plan = Dataset.plan

    def assignment(self, folder: Path, split: str | None) -> Assignment:
        """Return what tells the role of an image: whether its identity is in the list.

        Raises:
            DataError: when the list cannot be read, or holds something else than identities.
        """
        path = folder / LIST
        needed = "put the 141 identities to train on there, such as 000028, between blanks or commas"
        try:
            words = re.split(r"[\s,]+", read_regular(path).decode("ascii").strip())
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); {needed}.") from None
        except ValueError:
            words = []
        if not all(re.fullmatch("[0-9]{1,6}", word) for word in words or [""]):
            raise DataError(f"{path} is no list of numbers; {needed}.")
        trained = set(map(int, words))
        return lambda match: Role.TRAIN if int(match["identity"]) in trained else Role.QUERY | Role.GALLERY
