"""The vector autoencoder of Rok Mokotar and Federico Harjes Ruiloba, a baseline.

From their "Autoencoders for 2D Gaussian Splats": all parameters of a frame's splats are one vector;
dense layers squeeze it to the latent and give it back. There is no posterior and no rate: it is
trained on the parameters' error alone.
"""

from collections.abc import Sequence

from torch import nn

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.parameters import FEATURES, Normaliser


class Vector(SplatModel):
    def __init__(
        self,
        latent: int = 512,
        hidden: Sequence[int] = (1024, 512),
        parameters: str = "raw",
        splats: int = 512,
    ):
        super().__init__()
        self.config = {
            "latent": latent,
            "hidden": list(hidden),
            "parameters": parameters,
            "splats": splats,
        }
        self.normaliser = Normaliser(parameters)
        widths = [splats * FEATURES, *hidden, latent]
        self.encoder, self.decoder = _dense(widths), _dense(widths[::-1])

    def adapt(self, batch: Batch) -> None:
        self.normaliser.adapt(batch)

    def forward(self, batch: Batch) -> Output:
        if batch.splats.shape[1] != self.config["splats"]:
            raise ModelError(
                f"this model takes {self.config['splats']} splats a frame,"
                f" not {batch.splats.shape[1]}"
            )
        latent = self.encoder(self.normaliser.encode(batch.splats, batch.size).flatten(1))
        features = self.decoder(latent).unflatten(1, (-1, FEATURES)).float()
        return Output(self.normaliser.decode(features, batch.size), features, latent.float())


def _dense(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers from each width to the next, with a ReLU between two."""
    layers = [
        layer
        for before, after in zip(widths, widths[1:])
        for layer in (nn.Linear(before, after), nn.ReLU())
    ]
    return nn.Sequential(*layers[:-1])
