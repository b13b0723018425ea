"""The rank of the query's identity where every identity takes one place, in expectation over tied items."""

import numpy as np

from protocols.arrays import Values
from protocols.tie_groups import Ranking


def identity_first_hit_rank(ranking: Ranking) -> Values:
    """Return the expected place, from 1, of every query's identity, ``(nq,)``; NaN without a valid positive.

    With the names of ``identity_rank_k``, the first of m + c_j tied items in random order belongs to identity j with
    probability c_j / (m + c_j); so the place is 1 + a + the sum of these.

    Args:
        ranking: of nq queries, made with ``cmc="identities"``.

    Raises:
        ValueError: when the ranking knows of no identities.
    """
    rivals = ranking.rivals
    if rivals is None:
        raise ValueError("the ranking was made without counting identities")
    own = np.ones(len(ranking), dtype=np.int64)
    own[ranking.valid] = ranking.positives[ranking.first]
    owner = np.repeat(np.arange(len(ranking)), np.diff(rivals.offsets))
    places: Values = rivals.above + np.ones(len(ranking))
    places += np.bincount(owner, weights=rivals.tied / (own[owner] + rivals.tied), minlength=len(ranking))
    return ranking.spread(places[ranking.valid])
