"""The trunk of MFRNet: tokens can be changed before the blocks, and the last MLP is a mixture of adapters."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from baselines.mfrnet.card import MFRNetOptions
from baselines.mfrnet.experts import SparseExperts
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.trunk.blocks import add, add_attention, run_block
from mdreid_bench.models.trunk.token_trunk import plain_tower
from mdreid_bench.models.trunk.trunk import Trunk


class ExpertTrunk(Trunk):
    """A CLIP transformer whose last block has a sparse mixture of adapters instead of its MLP (FRM).

    ``assemble`` is what stands before the layer norm and the blocks, ``transform`` all that follows; tokens may be
    generated in between. The pretrained MLP of the last block is dropped (docs/methods/mfrnet.md, "FRM").

    Args:
        visual: open_clip vision transformer of plain blocks, pretrained or not.
        image_size: (height, width) in pixels.
        cameras: rows of the camera table.
    """

    def __init__(self, visual: nn.Module, image_size: tuple[int, int], cameras: int, options: MFRNetOptions) -> None:
        super().__init__(visual, image_size, cameras, shared_token=False)
        width = self.token_width
        sizes = (width, round(2 * width / 3), round(width / 3), options.adapters, options)
        self.adapters = SparseExperts(*sizes, residual=True)
        nn.init.trunc_normal_(self.adapters.gate.projection.weight, std=0.02)
        nn.init.zeros_(self.adapters.gate.projection.shift)
        last: Any = self.blocks[-1]
        last.mlp = None

    @classmethod
    def with_experts(cls, config: RunConfig, cameras: int, options: MFRNetOptions) -> "ExpertTrunk":
        """Build the trunk that a configuration asks for.

        Raises:
            UsageError: when the image size is not a multiple of the patch size, or the blocks are not plain.
        """
        return cls(plain_tower(config), config.image_size, cameras, options)

    def pretrained(self) -> Iterator[nn.Parameter]:
        """Leave out the camera table and the adapters, which no pretrained network has."""
        new = {id(parameter) for parameter in self.adapters.parameters()}
        return (parameter for parameter in super().pretrained() if id(parameter) not in new)

    def assemble(self, images: Tensor, camera: Tensor) -> Tensor:
        """Return the tokens (B, 1 + P, W) of images (B, 3, H, W) with camera and position, class token first."""
        return torch.cat([self._assemble(*chunk) for chunk in self._chunks(images, camera)])

    def transform(self, tokens: Tensor, keep: int | None) -> tuple[Tensor, Tensor]:
        """Return the output vectors of the first ``keep`` tokens or of all, and the shares of the adapters.

        Args:
            tokens: (B, 1 + P, W), from ``assemble`` or generated.
            keep: how many, counted from the first; the adapters see no others.

        Returns:
            (B, keep, D), and (B, 2, n) as of ``SparseExperts``.
        """
        read = torch.cat([self._transform(piece) for piece in torch.split(tokens, self.rows_at_once(tokens))])
        output, shares = self.kept_or_repeated(self._last, read, keep)
        return output, shares

    def _transform(self, tokens: Tensor) -> Tensor:
        """Return the tokens after all blocks but the last."""
        tokens = self.ln_pre(tokens)
        for block in self.blocks[:-1]:
            tokens = self.kept_or_repeated(run_block, block, tokens)
        return tokens

    def _last(self, tokens: Tensor, keep: int | None) -> tuple[Tensor, Tensor]:
        block = self.blocks[-1]
        tokens = add_attention(block, tokens, keep)
        adapted, shares = self.adapters(block.ln_2(tokens))
        return self.ln_post(add(tokens, block.ls_2(adapted))) @ self.projection, shares
