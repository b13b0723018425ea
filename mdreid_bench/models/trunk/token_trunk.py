"""A vision transformer that puts out all its tokens and, if asked, what its class token attends to."""

from typing import Any

import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import UsageError
from mdreid_bench.models.trunk.blocks import add, attend, is_plain
from mdreid_bench.models.trunk.trunk import Trunk, patch_grid, tower_for


class TokenTrunk(Trunk):
    """All tokens after the last layer norm, not projected; camera embedding on every token, stochastic depth.

    The output is (B, 1 + P, W), class token first.

    This is how TOP-ReID and EDITOR use their transformer (docs/methods/top-reid.md, "Trunks"). Both start from an
    ImageNet ViT-B/16, which is the trunk ``vit-b-16-imagenet`` here; with a CLIP tower the layer norm before the
    blocks, the activation and the epsilon of the norms are CLIP's.

    Args:
        visual: open_clip vision transformer, pretrained or not.
        image_size: (height, width) in pixels, multiples of the patch size.
        cameras: rows of the camera table.
        camera_scale: coefficient of the camera embedding.
        drop_path: probability of leaving out a residual branch of the last block for a training sample; that of the
            first block is 0 and those between lie on a line.

    Attributes:
        width: size W of a token.
        heads: attention heads of a block.
        patch_size: (height, width) of a patch in pixels.
        grid: (rows, columns) of patches, P = rows * columns.
    """

    def __init__(
        self,
        visual: nn.Module,
        image_size: tuple[int, int],
        cameras: int,
        *,
        camera_scale: float = 3.0,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__(visual, image_size, cameras, shared_token=False, camera_scale=camera_scale)
        self.projection = None
        self.width = int(self.position.shape[1])
        self.heads = int(self.blocks[0].attn.num_heads)
        self.patch_size: tuple[int, int] = self.patch.kernel_size
        self.grid = patch_grid(self.patch, image_size)
        self.drop_rates: list[float] = torch.linspace(0, drop_path, len(self.blocks)).tolist()

    @classmethod
    def for_tokens(cls, config: RunConfig, cameras: int, *, drop_path: float) -> "TokenTrunk":
        """Build the trunk that a configuration asks for.

        Raises:
            UsageError: when the image size is not a multiple of the patch size, or the blocks are not plain.
        """
        return cls(plain_tower(config), config.image_size, cameras, drop_path=drop_path)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile all from the assembled tokens on, whether or not attention is watched."""
        super().compile(*args, **kwargs)
        self.__dict__["_watched"] = torch.compile(self._watched, *args, **kwargs)

    def attended(self, images: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
        """Return all tokens (B, 1 + P, W) and, without gradient, the attention rollout of the class token.

        The rollout is the class row of A_L ... A_2 A_1, the product over the blocks of the raw attention maps, head
        by head, without the class column: (B, heads, P) float32 (docs/methods/editor.md, "Token selection").
        """
        tokens, rollouts = [], []
        for chunk in self._chunks(images, camera):
            some, product = self._watched(self._assemble(*chunk))
            tokens.append(some)
            rollouts.append(product[:, :, 0, 1:])
        return torch.cat(tokens), torch.cat(rollouts)

    def _assemble(self, images: Tensor, camera: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), 1, -1), patches], dim=1)
        return tokens + self.position + self.camera_scale * self.camera[camera][:, None]

    def _transform(self, tokens: Tensor) -> Tensor:
        tokens = self.ln_pre(tokens)
        for block, rate in zip(self.blocks, self.drop_rates, strict=True):
            tokens = self.kept_or_repeated(self._block, block, tokens, rate)
        output: Tensor = self.ln_post(tokens)
        return output

    def _watched(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        tokens, product = self.ln_pre(tokens), None
        for block, rate in zip(self.blocks, self.drop_rates, strict=True):
            tokens, product = self.kept_or_repeated(self._watched_block, block, tokens, rate, product)
        assert product is not None
        return self.ln_post(tokens), product

    def _block(self, block: Any, tokens: Tensor, rate: float) -> Tensor:
        return self._rest(block, tokens, attend(block.attn, block.ln_1(tokens)), rate)

    def _watched_block(
        self, block: Any, tokens: Tensor, rate: float, product: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y = block.ln_1(tokens)
        mixed, weights = block.attn(y, y, y, need_weights=True, average_attn_weights=False)
        return self._rest(block, tokens, mixed, rate), _extend(product, weights)

    def _rest(self, block: Any, tokens: Tensor, attended: Tensor, rate: float) -> Tensor:
        tokens = add(tokens, self._drop(block.ls_1(attended), rate))
        return add(tokens, self._drop(block.ls_2(block.mlp(block.ln_2(tokens))), rate))

    def _drop(self, branch: Tensor, rate: float) -> Tensor:
        """Zero the branch of some samples and scale that of the others to keep the mean (Huang et al. 2016)."""
        if not self.training or rate == 0:
            return branch
        keep = branch.new_empty(len(branch), 1, 1).bernoulli_(1 - rate)
        return branch * keep / (1 - rate)


def plain_tower(config: RunConfig) -> nn.Module:
    """Return the visual tower that a configuration asks for, whose parts of a block can be run one by one.

    Raises:
        UsageError: when the image size is not a multiple of the patch size, or the blocks are not the plain pre-norm
            blocks whose attention can be watched.
    """
    visual: Any = tower_for(config)
    for block in visual.transformer.resblocks:
        if not is_plain(block):
            raise UsageError(
                f"{config.method} needs a trunk of plain transformer blocks, which {config.trunk.name} has not; "
                "choose another with --set trunk.name=ViT-B-16-quickgelu."
            )
    tower: nn.Module = visual
    return tower


@torch.no_grad()
def _extend(product: Tensor | None, weights: Tensor) -> Tensor:
    """Put one more block's attention maps (B, heads, L, L) in front of the product, in float32."""
    if product is None:
        return weights.float()
    with torch.autocast(weights.device.type, enabled=False):
        return weights.float() @ product
