"""Diagnostics: problems of a trained model, each with its evidence, its likely cause and a remedy.

Everything is measured on the training and validation splits, because advice that depends on the test split would bias
it. A check reports a finding if its metric is beyond the threshold, unless another finding explains it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aevb.config.schema import Config, ModelConfig
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.aggregate_posterior import prior_holes
from aevb.evaluation.cost import QUICK, affordable, decoder_operations
from aevb.evaluation.diagnosis.checks import EXPLAINS
from aevb.evaluation.diagnosis.findings import Finding, Findings, Measurements
from aevb.evaluation.diagnosis.outliers import outliers
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.likelihood import best_log_px
from aevb.models.likelihoods import Gaussian
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.history import Epoch

__all__ = ["EXPLAINS", "Finding", "Findings", "diagnose"]

EXAMPLES = 1000
"""The largest number of examples of a split that are measured."""
FEWEST_DENSITIES, DENSITIES = 20, 100
"""The smallest and the largest number of examples of a split whose log p(x) is estimated."""
RESAMPLED = 20
"""Samples from which one of the true posterior is resampled."""
FEWEST_SAMPLES, SAMPLES = 10, 100
"""The smallest and the largest number of samples for the bounds of validation examples."""
MOST_COLUMNS = 1000
"""The largest number of elements of vectors whose residuals are kept."""


def diagnose(
    model: VAE,
    config: Config,
    resolved: ModelConfig,
    epochs: Sequence[Epoch],
    dataset: Dataset,
    *,
    seed: int = 0,
) -> Findings:
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
    return Findings(finding for check, finding in findings.items() if check not in explained)


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
    from aevb.evaluation.diagnosis.simple_models import simple_models  # which imports scikit-learn

    train, valid = dataset.train.subsample(EXAMPLES), dataset.valid.subsample(EXAMPLES)
    count = max(FEWEST_DENSITIES, min(DENSITIES, int(affordable(model, valid))))
    decodings = QUICK / max(1, decoder_operations(model, valid))
    n_samples = max(FEWEST_SAMPLES, min(SAMPLES, int(decodings / len(valid))))
    likelihood: nn.Module = model.likelihood
    with seeded(seed, RNGStream.EVALUATION):
        variances = train.all().x.double().var(0)
    dispersion, residuals = (1.0, None) if dataset.columns else _residuals(model, valid, seed)
    return Measurements(
        config=config,
        model=resolved,
        epochs=epochs,
        steps=len(epochs) * config.train.plan(dataset.n_train)[1],
        valid=per_example(model, valid, n_samples, seed=seed),
        train_log_px=_log_px(model, train.subsample(count), seed),
        valid_log_px=_log_px(model, valid.subsample(count), seed),
        simple=simple_models(dataset, valid.subsample(count), resolved.layers[-1]),
        holes=prior_holes(model, valid, seed).share.value if model.posterior_has_density else 0.0,
        dispersion=dispersion,
        residuals=residuals,
        noise=_relative_noise(likelihood, variances) if isinstance(likelihood, Gaussian) else None,
        data_variance=variances.mean().item(),
        outliers=outliers(model, dataset),
    )


def _relative_noise(likelihood: Gaussian, variances: Tensor) -> float:
    """Return the variance of the likelihood relative to that of the data, the smallest over the elements that vary."""
    noise = likelihood.variance.cpu()
    if not noise.dim():
        return (noise / variances.mean()).item()
    return (noise / variances)[variances > 0].min().item()


def _log_px(model: VAE, examples: Examples, seed: int) -> Tensor:
    """Return log p(x) of the examples; of an autoencoder, log p(x|z) at the code."""
    if not model.posterior_has_density:
        return -per_example(model, examples, 1, seed=seed).distortion
    return best_log_px(model, examples, seed=seed)[1].values


@torch.no_grad()
def _residuals(model: VAE, examples: Examples, seed: int) -> tuple[float, Tensor | None]:
    """Return Σ r² / Σ Var x, and the residuals r = x - E[x|z] of vectors, z resampled to follow the true posterior."""
    device, squares, variances, residuals = model.device, 0.0, 0.0, []
    with seeded(seed, RNGStream.EVALUATION, device=device):
        for batch in examples.batches(100):
            batch = batch.to(device)
            trace = model.trace(batch, RESAMPLED if model.posterior_has_density else 1)
            chosen = torch.distributions.Categorical(logits=trace.log_weight.T).sample() if len(trace.z) > 1 else 0
            p = model.decode(trace.z[chosen, torch.arange(len(batch), device=device)], batch.condition)
            residual = batch.x - p.mean
            squares += residual.square().sum().item()
            variances += p.variance.sum().item()
            if residual.dim() == 2 and residual.shape[1] <= MOST_COLUMNS:
                residuals.append(residual.double().cpu())
    return squares / variances, torch.cat(residuals) if residuals else None
