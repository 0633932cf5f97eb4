"""`aevb.fit` with its defaults."""

from collections.abc import Callable

from torch import Tensor

from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig, ObjectiveConfig, TrainConfig
from aevb.data import Dataset, Examples
from aevb.models.vae import VAE
from aevb.training.fit import TrainingJob, fit_stacked
from aevb.training.history import Epoch, History
from benchmarks.workloads import VARIANCE, Workload


def train(workload: Workload, x: Tensor, epochs: int, device: str) -> None:
    """Train one model."""
    together(workload, x, epochs, device, 1, "auto")


def together(
    workload: Workload,
    x: Tensor,
    epochs: int,
    device: str,
    seeds: int,
    compile: str,
    on_step: Callable[[], object] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> list[History]:
    """Train several models as one stacked model; `on_epoch` receives the epochs of the first."""
    models = [model(workload, x).to(device) for _ in range(seeds)]
    jobs = [TrainingJob(each, seed, on_epoch=None if seed else on_epoch) for seed, each in enumerate(models)]
    options = {"epochs": epochs, "batch_size": workload.batch, "compile": compile, "weight_decay": 0.0}
    config = TrainConfig.model_validate(options)
    objective = build_objective(ObjectiveConfig(), "diagonal")
    return fit_stacked(jobs, objective, Examples(x), config=config, on_step=on_step)


def model(workload: Workload, x: Tensor) -> VAE:
    """Build the model from its configuration."""
    part = Examples(x)
    dataset = Dataset(
        "random", "binary" if workload.bernoulli else "unit", workload.event, part, part, part, "none", None
    )
    network = {"network": "conv", "channels": workload.channels} if workload.channels else {"hidden": workload.hidden}
    likelihood = {"likelihood": "bernoulli"} if workload.bernoulli else {"likelihood": "gaussian", "variance": VARIANCE}
    options = {"activation": workload.activation, "latent": workload.latent, **network, **likelihood}
    return build(resolve(ModelConfig.model_validate(options), dataset), workload.event)
