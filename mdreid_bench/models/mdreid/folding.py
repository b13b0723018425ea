"""MDReID's any-to-any similarity as one inner product, and the released concatenation."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mdreid_bench.models.mdreid.card import Components, Similarity
from protocols.modality import Modality


def fold_paper(
    specific: Mapping[Modality, Tensor], shared: Mapping[Modality, Tensor], available: Modality, sensors: Modality
) -> Tensor:
    """Return f(S) with <f(Q), f(G)> = Sim_total(Q, G) of the paper (Eq. 6-10), (B, (n + 1) D) for n sensors.

    With unit vectors, Sim_sp averages <sp_q[m], sp_g[m]> over m in both subsets and Sim_sh averages
    <sh_q[i], sh_g[j]> over all pairs, both divided by |Q| |G|; the double sum factors, so
    f(S) = concat(sp_m or 0 for every sensor m, sum of sh_m) / (sqrt(2) |S|).

    Args:
        specific: (B, D) by modality, of at least the available ones.
        shared: likewise.
        available: the subset S.
        sensors: of the dataset.
    """
    absent = torch.zeros_like(next(iter(specific.values())))
    blocks = [F.normalize(specific[m], dim=-1) if m in available else absent for m in sensors]
    total = torch.stack([F.normalize(shared[m], dim=-1) for m in available]).sum(0)
    return torch.cat([*blocks, total], dim=-1) / (2**0.5 * len(available))


def fold_released(
    specific: Mapping[Modality, Tensor], shared: Mapping[Modality, Tensor], available: Modality, sensors: Modality
) -> Tensor:
    """Return the concatenation of all available vectors, zeros elsewhere, normalised as a whole, (B, 2 n D).

    For equal subsets on both sides its inner product is the cosine that the released code ranks by. For different
    subsets only vectors of modalities on both sides meet.
    """
    absent = torch.zeros_like(next(iter(specific.values())))
    parts = [vectors[m] if m in available else absent for vectors in (specific, shared) for m in sensors]
    return F.normalize(torch.cat(parts, dim=-1), dim=-1)


def keep_components(folded: Tensor, components: Components, similarity: Similarity, sensors: Modality) -> Tensor:
    """Return the part of a folded vector that compares the specific vectors, or the shared ones (paper, Table 6).

    In the paper's form the other summand of Sim_total is left out; in the released form the kept vectors are
    concatenated and normalised again. Where the sensors of both sides are disjoint, specific vectors never meet, and
    all similarities are 0.

    Args:
        folded: (..., (n + 1) D) from :func:`fold_paper`, or (..., 2 n D) from :func:`fold_released`.
        components: what to keep.
        similarity: the form of ``folded``.
        sensors: the n sensors of the dataset.

    Returns:
        (..., n D) for the specific vectors; (..., D) or (..., n D) for the shared ones.
    """
    if components == "both":
        return folded
    count = len(sensors)
    border = folded.shape[-1] // (count + 1 if similarity == "paper" else 2 * count) * count
    kept = folded[..., :border] if components == "specific" else folded[..., border:]
    return kept if similarity == "paper" else F.normalize(kept, dim=-1)
