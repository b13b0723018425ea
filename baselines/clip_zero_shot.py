"""The trunk's image embedding as it was pretrained: zero-shot CLIP where the trunk is CLIP's."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.cards import CLIP_ZERO_SHOT
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import DataFacts, Encoded, Images, Method
from mdreid_bench.models.trunk.trunk import Trunk, run_trunk
from protocols.modality import Modality


class CLIPZeroShot(Method):
    """Mean of the unit image embeddings of the available modalities; nothing is trained.

    The embedding is the projected class token. The embedding of the one camera is set to zero, and the pixels are
    normalised as for the other methods, not by CLIP's own statistics.
    """

    card: ClassVar[MethodCard] = CLIP_ZERO_SHOT

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        nn.init.zeros_(trunk.camera)
        self.requires_grad_(False)

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "CLIPZeroShot":
        """Build from a configuration."""
        return cls(Trunk.build(config, cameras=1, shared_token=False))

    def backbones(self) -> tuple[Trunk]:
        """Return the shared trunk."""
        return (self.trunk,)

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return by sensor that is present, ``"R"`` and so on, (B, D) of unit length."""
        vectors = run_trunk(self.trunk, images, torch.zeros_like(camera))
        return {str(m): F.normalize(v[:, 0].float(), dim=1) for m, v in vectors.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return the mean over the available modalities, of unit length, (B, D)."""
        return F.normalize(torch.stack([encoded[str(m)] for m in available]).mean(0), dim=1)
