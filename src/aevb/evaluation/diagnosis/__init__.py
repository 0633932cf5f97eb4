"""Diagnostics: problems of a trained model, each with its evidence, its likely cause and a remedy.

Everything is measured on the training and validation splits, because advice that depends on the test split would bias
it. A check reports a finding if its metric is beyond the threshold, unless another finding explains it.
"""

from collections.abc import Sequence

import torch
from torch import nn

from aevb.config.schema import Config, ModelConfig
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.aggregate_posterior import prior_holes
from aevb.evaluation.diagnosis.checks import EXPLAINS
from aevb.evaluation.diagnosis.findings import Finding, Measurements
from aevb.evaluation.diagnosis.outliers import outliers
from aevb.evaluation.importance_sampling import per_example
from aevb.models.likelihoods import Gaussian
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.history import Epoch

__all__ = ["EXPLAINS", "Finding", "diagnose"]

EXAMPLES = 1000
"""The largest number of examples of a split that are measured."""
TRAIN_SAMPLES, VALID_SAMPLES = 20, 100
"""Samples for the bounds of training and validation examples."""


def diagnose(
    model: VAE,
    config: Config,
    resolved: ModelConfig,
    epochs: Sequence[Epoch],
    dataset: Dataset,
    *,
    seed: int = 0,
) -> list[Finding]:
    """Return the problems of a trained model; an empty list if there are none.

    Args:
        model: the trained model.
        config: the configuration as the user gave it.
        resolved: the resolved configuration of the model.
        epochs: the metrics of each epoch.
        dataset: the data set of the training; its test split is not used.
        seed: the random seed.

    Raises:
        BadInput: no epoch has finished, or there are fewer than two validation examples.
    """
    if not epochs or len(dataset.valid) < 2:
        raise BadInput("diagnostics need a finished epoch and at least two validation examples: train for longer")
    measured = take_measurements(model, config, resolved, epochs, dataset, seed=seed)
    findings = {check: finding for check in EXPLAINS if (finding := check(measured))}
    explained = {other for check in findings for other in EXPLAINS[check]}
    return [finding for check, finding in findings.items() if check not in explained]


def take_measurements(
    model: VAE,
    config: Config,
    resolved: ModelConfig,
    epochs: Sequence[Epoch],
    dataset: Dataset,
    *,
    seed: int,
) -> Measurements:
    """Measure what the checks need, on at most `EXAMPLES` training and validation examples each."""
    train, valid = dataset.train.subsample(EXAMPLES), dataset.valid.subsample(EXAMPLES)
    likelihood: nn.Module = model.likelihood
    with seeded(seed, RNGStream.EVALUATION):
        data_variance = train.all().x.double().var(0).mean().item()
    return Measurements(
        config=config,
        model=resolved,
        epochs=epochs,
        steps=len(epochs) * config.train.plan(len(dataset.train_source))[1],
        train=per_example(model, train, TRAIN_SAMPLES, seed=seed),
        valid=per_example(model, valid, VALID_SAMPLES, seed=seed),
        holes=prior_holes(model, valid, seed).share.value if model.posterior_has_density else 0.0,
        dispersion=1.0 if dataset.columns else _dispersion(model, valid, seed),
        noise=likelihood.variance if isinstance(likelihood, Gaussian) else None,
        data_variance=data_variance,
        outliers=outliers(model, dataset),
    )


@torch.no_grad()
def _dispersion(model: VAE, examples: Examples, seed: int) -> float:
    device, squares, variances = model.device, 0.0, 0.0
    with seeded(seed, RNGStream.EVALUATION, device=device):
        for batch in examples.batches(100):
            batch = batch.to(device)
            z = model.top_down(model.bottom_up(batch), lambda q: q.rsample())[-1].z
            p = model.decode(z, batch.condition)
            squares += (batch.x - p.mean).square().sum().item()
            variances += p.variance.sum().item()
    return squares / variances
