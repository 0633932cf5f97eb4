"""Lightning's Trainer with the textbook model, without logging, checkpoints and progress bar."""

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.contestants.example_loop import VAE
from benchmarks.workloads import Workload


class Module(lightning.LightningModule):
    """The model as a LightningModule."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.model = VAE(workload)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        """Return the loss."""
        return self.model(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def train(workload: Workload, x: Tensor, epochs: int, device: str) -> None:
    """Train without workers: one or two are slower."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator=device, devices=1, enable_model_summary=False, barebones=False, **quiet
    )
    trainer.fit(Module(workload), DataLoader(TensorDataset(x), batch_size=workload.batch, shuffle=True))
