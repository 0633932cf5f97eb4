"""The latent means of examples: the means of q(z|x)."""

import torch
from torch import Tensor

from aevb.data.examples import Examples
from aevb.models.vae import VAE

BATCH_SIZE = 1000


@torch.no_grad()
def latent_means(model: VAE, examples: Examples) -> Tensor:
    """Return the means of the top layer's q(z|x), ``(N, Z)``, on the CPU."""
    batches = (batch.to(model.device, model.dtype) for batch in examples.batches(BATCH_SIZE))
    return torch.cat([model.encode(batch).mean.cpu() for batch in batches])
