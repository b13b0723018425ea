"""Learning to name what is where: heads on a trunk, their loss, and how well they do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.data.synthetic.latents import Part
from mdreid_bench.models.trunk.resnet import SHAPES, ResNet
from mdreid_bench.models.trunk.tower_weights import visual_tower
from mdreid_bench.models.trunk.trunk import interpolate_positions, patch_grid
from mdreid_bench.pretrain.batch import Batch
from mdreid_bench.pretrain.samples import FIELD, REGIONS, WORDS

_WEIGHTS = {"fields": 10.0, "regions": 5.0, "colours": 5.0, "words": 3.0, "view": 0.2}
"""What is named in a place leads: when words, rare and hard, weigh as much, only their frequencies are learned."""


class Namer(nn.Module):
    """A trunk with a linear head on each field and one on the summary of the image.

    Args:
        name: ``mdreid-tiny`` or a convolutional trunk; its weights are drawn at random.

    Attributes:
        trunk: what is kept.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        config, parts = TrunkConfig(name=name, pretrained=None), len(Part)
        if name in SHAPES:
            self.trunk: Any = ResNet.build(config, last_stride=1)
            field_width = summary_width = self.trunk.width
            self._look: Callable[[Tensor], tuple[Tensor, Tensor]] = self._convolve
        else:
            self.trunk = visual_tower(config)
            field_width, summary_width = self.trunk.proj.shape
            self._look = self._attend
        self.field_head = nn.Linear(field_width, parts)
        self.region_head = nn.Linear(summary_width, REGIONS * parts)
        self.colour_head = nn.Linear(summary_width, 3 * parts)
        self.word_head = nn.Linear(summary_width, len(WORDS))
        self.view_head = nn.Linear(summary_width, 2)

    def errors(self, batch: Batch) -> dict[str, Tensor]:
        """Return what is wrong with each image's description, (B,) each: no image has to do with another.

        Keys: cross entropies of the parts in fields and regions and of the words, squared errors of colours and view.
        """
        fields, summary = self._look(batch.images)
        coloured = batch.coloured[..., None].float()
        colours = (self._colours(summary) - batch.colours).square() * coloured
        words = (
            F.binary_cross_entropy_with_logits(self.word_head(summary), batch.words, reduction="none") * batch.told
        )
        return {
            "fields": -(batch.fields * F.log_softmax(self.field_head(fields), dim=2)).sum(2).mean(1),
            "regions": -(batch.regions * self._regions(summary).log_softmax(2)).sum(2).mean(1),
            "colours": colours.sum((1, 2)) / (3 * coloured.sum((1, 2)).clamp(min=1)),
            "words": words.sum(1) / batch.told.sum(1),
            "view": (self.view_head(summary) - batch.view).square().sum(1),
        }

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Return how good each description is, (B,) each, and of colours, for each image that shows them.

        Keys: share of the fields whose most frequent part is named, of the words that are found and of those found
        that are right, error of the shares and of the colours, and degrees between the view and what is said of it.
        """
        fields, summary = self._look(batch.images)
        named = self.field_head(fields).argmax(2) == batch.fields.argmax(2)
        shares = (self._regions(summary).softmax(2) - batch.regions).abs().sum(2).mean(1) / 2
        colours = (self._colours(summary) - batch.colours).abs().mean(2)
        seen = batch.coloured.any(1)
        colours = (colours * batch.coloured).sum(1)[seen] / batch.coloured.sum(1)[seen]
        words = ((self.word_head(summary) > 0) & batch.told).float()
        agreed = (words * batch.words).sum(1)
        view = F.cosine_similarity(self.view_head(summary), batch.view).clamp(-1, 1).acos().rad2deg()
        return {
            "fields_named": named.float().mean(1),
            "words_found": agreed / batch.words.sum(1),
            "words_right": agreed / words.sum(1).clamp(min=1),
            "share_error": shares,
            "colour_error": colours,
            "view_error": view,
        }

    def _regions(self, summary: Tensor) -> Tensor:
        logits: Tensor = self.region_head(summary)
        return logits.view(len(summary), REGIONS, -1)

    def _colours(self, summary: Tensor) -> Tensor:
        colours: Tensor = self.colour_head(summary)
        return colours.view(len(summary), -1, 3)

    def _attend(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return patch tokens (B, P, W) and the projected class token (B, D)."""
        visual = self.trunk
        patches = visual.conv1(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([visual.class_embedding.expand(len(images), 1, -1), patches], dim=1)
        position = interpolate_positions(
            visual.positional_embedding, patch_grid(visual.conv1, (images.shape[2], images.shape[3]))
        )
        tokens = visual.ln_post(visual.transformer(visual.ln_pre(tokens + position)))
        return tokens[:, 1:], tokens[:, 0] @ visual.proj

    def _convolve(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of the last map over the fields of an image (B, P, C), and over all (B, C)."""
        grid = images.shape[2] // FIELD, images.shape[3] // FIELD
        cells = F.adaptive_avg_pool2d(self.trunk(images), grid).flatten(2).transpose(1, 2)
        return cells, cells.mean(1)


def naming_loss(namer: Namer, batch: Batch) -> Tensor:
    """Return the weighted sum of all errors, the mean over the images, a scalar."""
    errors = namer.errors(batch)
    return torch.stack([weight * errors[name].mean() for name, weight in _WEIGHTS.items()]).sum()
