"""From a batch to its loss terms: at once, piece by piece to save memory, or on several devices."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mdreid_bench.config.schema import Precision, RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Encoded, Method, TrainingBatch
from mdreid_bench.processes.device import DTYPES
from mdreid_bench.processes.ranks import Ranks


class Forward:
    """Computes the loss terms of a whole batch, of which this process has all images or an equal share.

    With ``memory.micro_batch`` the trunk passes over a few items at a time and keeps nothing but its output; the
    losses see the outputs of all. On the way back each piece passes once more, with all that its gradient needs. So
    mining and batch statistics are those of the whole batch, for the memory of a piece and a second trunk pass (the
    scheme of Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"). On several
    devices, each passes its share of the items and all compute the same losses from the outputs of all.

    Raises:
        UsageError: when the method cannot take a batch apart, or the batch cannot be shared equally.
    """

    def __init__(self, method: Method, config: RunConfig, precision: Precision, ranks: Ranks) -> None:
        self.method, self.precision, self.ranks = method, precision, ranks
        self.micro_batch = config.memory.micro_batch
        whole = method.card.batch_dependent(config.options)
        pieces, shares = method.separable() and not whole, method.shareable() and not whole
        if (self.micro_batch and not pieces) or (ranks.size > 1 and not shares):
            what = "memory.micro_batch" if self.micro_batch else "more than one process"
            raise UsageError(f"{config.method} cannot take a batch apart, so it trains without {what}.")
        if config.batch.size % ranks.size:
            raise UsageError(
                f"A batch of {config.batch.size} items cannot be shared equally by {ranks.size} processes; set "
                "another --batch-size, or start another number of processes."
            )
        for backbone in method.backbones():
            backbone.set_checkpointing(config.memory.checkpointing)

    def __call__(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the loss terms of images and cameras of this process and identities of the whole batch.

        Raises:
            PeerFailedError: when another process fails.
        """
        with torch.autocast(batch.identity.device.type, DTYPES[self.precision], enabled=self.precision != "fp32"):
            method = self.method
            if not self.micro_batch and self.ranks.size == 1:
                return method.training_losses(batch)
            if batch.target is not None:
                with self.ranks.together():
                    sides = method.represent_both(batch)
                known, other = (self._gathered(side) for side in sides)
                with self.ranks.together():
                    return method.adapting_losses(known, other, batch.identity, batch.target.identity)
            with self.ranks.together():
                represented = self._represent(method, batch)
            gathered = self._gathered(represented)
            with self.ranks.together():
                return method.losses(gathered, batch.identity)

    def _gathered(self, represented: Encoded) -> Encoded:
        return {name: self.ranks.gather(rows) for name, rows in represented.items()}

    def _represent(self, method: Method, batch: TrainingBatch) -> Encoded:
        count, size = len(batch), self.micro_batch
        if size is None or size >= count:
            return method.represented(batch.images, batch.camera, batch.seen)
        slices = [slice(start, start + size) for start in range(0, count, size)]
        parts = [(*batch.piece(rows), batch.seen_by(rows)) for rows in slices]
        pieces = [checkpoint(method.represented, *part, use_reentrant=False) for part in parts]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
