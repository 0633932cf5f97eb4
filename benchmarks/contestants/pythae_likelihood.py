"""pythae's log-likelihood routine on given weights and images, for `benchmarks.likelihood`.

Arguments: a .npz file with the weights and images, how many images, K, and the device. Prints the seconds and the mean
as JSON.
"""

import json
import sys
import time

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import nn


class Encoder(BaseEncoder):
    def __init__(self, given):
        BaseEncoder.__init__(self)
        self.hidden, self.head, self.latent = (
            linear(given, "hidden"),
            linear(given, "head"),
            given["head.bias"].size // 2,
        )

    def forward(self, x):
        mean, log_variance = self.head(self.hidden(x.flatten(1)).tanh()).split(self.latent, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, given):
        BaseDecoder.__init__(self)
        self.up, self.out = linear(given, "up"), linear(given, "out")

    def forward(self, z):
        return ModelOutput(reconstruction=self.out(self.up(z).tanh()).sigmoid().view(-1, 1, 28, 28))


def linear(given, name):
    layer = nn.Linear(*given[f"{name}.weight"].shape[::-1])
    layer.load_state_dict({part: torch.from_numpy(given[f"{name}.{part}"]) for part in ("weight", "bias")})
    return layer


def main():
    given, count, samples, device = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=given["head.bias"].size // 2, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(given), decoder=Decoder(given)).eval().to(device)
    x = torch.from_numpy(given["images"][:count]).to(device)
    with torch.no_grad():
        model.get_nll(x[:1], n_samples=samples)
        start = time.perf_counter()
        value = model.get_nll(x, n_samples=samples)
    print(json.dumps({"seconds": time.perf_counter() - start, "mean": float(value)}))


main()
