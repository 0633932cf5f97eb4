"""The codes of examples: the means of q(z|x)."""

import torch
from torch import Tensor

from aevb.data.dataset import Examples
from aevb.models.vae import VAE

TOGETHER = 1000
"""Examples that are encoded at once."""


@torch.no_grad()
def codes(model: VAE, examples: Examples) -> Tensor:
    """The means of the top layer's q(z|x), ``(N, Z)``, on the CPU."""
    place = (model.device, model.dtype)
    parts = examples.parts(TOGETHER)
    return torch.cat([model.given(some.given).encode(some.batch(slice(None)).to(*place)).mean.cpu() for some in parts])
