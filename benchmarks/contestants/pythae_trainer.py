"""pythae's BaseTrainer."""

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor

from benchmarks.workloads import Workload


class Encoder(BaseEncoder):
    """The workload's, as pythae wants it."""

    def __init__(self, workload: Workload) -> None:
        BaseEncoder.__init__(self)
        self.network = workload.encoder()

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log-variance."""
        mean, log_variance = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """The workload's, as pythae wants it."""

    def __init__(self, workload: Workload) -> None:
        BaseDecoder.__init__(self)
        self.network = workload.decoder()

    def forward(self, z: Tensor) -> ModelOutput:
        """The mean of p(x|z)."""
        return ModelOutput(reconstruction=self.network(z).sigmoid())


def train(workload: Workload, x: Tensor, epochs: int, device: str) -> None:
    """It saves its model at the end."""
    loss = "bce" if workload.bernoulli else "mse"
    config = VAEConfig(input_dim=workload.event, latent_dim=workload.latent, reconstruction_loss=loss)
    settings = BaseTrainerConfig(
        output_dir="out",
        num_epochs=epochs,
        per_device_train_batch_size=workload.batch,
        learning_rate=1e-3,
        no_cuda=device == "cpu",
    )
    data = BaseDataset(x, torch.ones(len(x)))
    model = VAE(config, encoder=Encoder(workload), decoder=Decoder(workload))
    BaseTrainer(model=model, train_dataset=data, training_config=settings).train()
