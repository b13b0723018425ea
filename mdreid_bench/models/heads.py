"""Classification heads used in training only."""

from torch import Tensor, nn


class BottleneckHead(nn.Module):
    """Batch normalisation with a frozen zero bias, then a linear classifier without bias.

    Luo et al. 2019, "Bag of Tricks" (BNNeck); classifier weights start from N(0, 0.001^2).

    Args:
        width: D, size of the feature.
        classes: C, number of training identities.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor) -> Tensor:
        """Return logits (B, C) of features (B, D)."""
        logits: Tensor = self.classifier(self.norm(feature))
        return logits
