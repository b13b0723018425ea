"""Stored records as one data frame, for whoever goes on with them in Python."""

import os
from pathlib import Path

import pandas as pd

from mdreid_bench.results.store import Store, load_record


def read_records(results: str | os.PathLike[str] = "results") -> pd.DataFrame:
    """Read all records below a results folder.

    Args:
        results: folder, as given to ``--results``.

    Returns:
        One row a record, by its path; the columns are the fields of
        :class:`mdreid_bench.results.schema.Record`, those of a part with a dot, such as ``metrics.mAP`` or
        ``chance.rank1``. Metrics are fractions.

    Raises:
        DataError: when a record must not be believed; the sentence names it.
    """
    paths = Store(Path(results)).paths()
    rows = [load_record(path).model_dump(mode="json") for path in paths]
    return pd.json_normalize(rows).set_index(pd.Index(map(str, paths), name="path"))
