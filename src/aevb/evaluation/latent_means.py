"""The codes of examples: the means of q(z|x)."""

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.models.vae import VAE

TOGETHER = 1000
"""Examples that are encoded at once."""


@torch.no_grad()
def latent_means(model: VAE, examples: Examples) -> Tensor:
    """The means of the top layer's q(z|x), ``(N, Z)``, on the CPU."""
    batches = (batch.to(model.device, model.dtype) for batch in examples.batches(TOGETHER))
    return torch.cat([model.encode(batch).mean.cpu() for batch in batches])
