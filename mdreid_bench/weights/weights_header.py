"""What a weights file of this suite says of itself, so that its method can be built from the file alone."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mdreid_bench.config.schema import ImageConfig, Positive, RunConfig, TrunkConfig, UntrainedCameras
from mdreid_bench.models.card import DataFacts
from mdreid_bench.results.run_facts import Letters
from protocols.modality import RNT, Modality

if TYPE_CHECKING:
    from mdreid_bench.models.method import Method

Selection = Literal["last-epoch", "best-test", "none"]


class WeightsHeader(BaseModel):
    """The description in the header of a weights file.

    Attributes:
        method: registered name.
        version: of the method's code when the file was written.
        trunk: as built; its pretrained weights are overwritten by those in the file.
        image: size and pixel statistics of the images.
        options: of the method.
        identities: training identities, the size of the classifiers.
        cameras: rows of the camera table.
        sensors: of the dataset; those of the three datasets of the suite where an older file does not say.
        selection: how the epoch was chosen; ``none`` for a method that does not train.
        epoch: the one whose weights these are, where it is known.
        dataset: trained on, or for where there are ``sources``; None where a converted file does not say.
        sources: other datasets that were trained on.
        source_cameras: with these, what became of the vectors of cameras that were not trained on.
        missing: rate at which training items had lost each of their sensors.
        synthetic: whether any of its images were generated; None where that is not known.
        threads: of PyTorch in the last process that trained; None where that is not known.
        source: where converted weights come from; empty for weights trained by this suite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    version: int
    trunk: TrunkConfig
    image: ImageConfig
    options: dict[str, Any]
    identities: Positive
    cameras: Positive
    sensors: Letters = str(RNT)
    selection: Selection
    epoch: int | None = None
    dataset: str | None = None
    sources: tuple[str, ...] = ()
    source_cameras: UntrainedCameras | None = None
    missing: float = 0.0
    synthetic: bool | None = None
    threads: Positive | None = None
    source: str = Field(default="")

    @classmethod
    def of(cls, method: "Method", config: RunConfig, data: DataFacts, **more: Any) -> "WeightsHeader":
        """Describe a method and the configuration that it was built with; ``more`` are the fields left."""
        return cls(
            method=config.method,
            version=method.card.version,
            trunk=config.trunk,
            image=config.image,
            options=config.options,
            identities=data.identities,
            cameras=data.cameras,
            sensors=str(data.modalities),
            **more,
        )

    @property
    def data(self) -> DataFacts:
        """What the method was sized by."""
        return DataFacts(self.identities, self.cameras, Modality.parse(self.sensors))

    def header(self) -> dict[str, Any]:
        """Return plain values for the header; those without sources and lost sensors are as they always were."""
        absent = set() if self.sources else {"sources", "source_cameras"}
        return self.model_dump(mode="json", exclude=absent if self.missing else {*absent, "missing"})
