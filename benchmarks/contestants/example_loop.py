"""The textbook loop: a DataLoader over a TensorDataset, Adam, one backward pass a step."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.workloads import VARIANCE, Workload


class VAE(nn.Module):
    """The textbook model."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.encoder, self.decoder, self.bernoulli = workload.encoder(), workload.decoder(), workload.bernoulli

    def forward(self, x: Tensor) -> Tensor:
        """Return the negative ELBO, averaged over the batch."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        output = self.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        if self.bernoulli:
            distortion = F.binary_cross_entropy_with_logits(output, x, reduction="sum")
        else:
            distortion = F.mse_loss(output.sigmoid(), x, reduction="sum") / (2 * VARIANCE)
        rate = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (distortion + rate) / len(x)


def train(workload: Workload, x: Tensor, epochs: int, device: str) -> None:
    """Train on every example in every epoch."""
    model = VAE(workload).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(x), batch_size=workload.batch, shuffle=True)
    for _ in range(epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            model(batch.to(device)).backward()
            optimizer.step()
