"""Diagnostics: problems of a trained model, each with its evidence, its likely cause and a remedy.

Everything is measured on the training and validation splits, because advice that depends on the test split would bias
it. A check reports a finding if its metric is beyond the threshold, unless another finding explains it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from aevb.config.schema import Config, ModelConfig
from aevb.data.dataset import Dataset
from aevb.data.examples import Examples
from aevb.errors import BadInput
from aevb.evaluation.aggregate_posterior import prior_holes
from aevb.evaluation.likelihood import ACTIVE, COLLAPSED, PerExample, collapsed_weights, per_example
from aevb.models.likelihoods import Gaussian
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.training.history import Epoch

EXAMPLES = 1000
"""The largest number of examples of a split that are measured."""
TRAIN_SAMPLES = 20
"""Importance samples for the bounds of training examples."""
NO_INFORMATION = 0.1
"""Rate in nats below which z carries no information."""
MIN_STEPS = 500
"""The number of steps below which any model is under-trained."""


@dataclass(frozen=True)
class Finding:
    """A problem of a model.

    Attributes:
        problem: its name.
        metric: the number that shows it.
        value: the value of the metric.
        threshold: the value at which the problem begins; None if another number decides.
        better: whether lower or higher values of the metric are better.
        evidence: the metric in words, with related numbers.
        cause: the likely cause.
        remedy: what to try: options of another training run, or a command.
    """

    problem: str
    metric: str
    value: float
    threshold: float | None
    better: Literal["lower", "higher"]
    evidence: str
    cause: str
    remedy: str


class Measurements(NamedTuple):
    """The numbers that the checks use.

    Attributes:
        config: the configuration as the user gave it.
        model: the resolved configuration of the model.
        epochs: the metrics of each epoch.
        steps: the number of training steps.
        train: the numbers of some training examples.
        valid: the numbers of some validation examples.
        n_importance_samples: K of the validation examples.
        holes: share of prior samples where the aggregate posterior has almost no mass; 0 for autoencoders.
        dispersion: Σ (x - E x)² / Σ Var x over validation examples, x ~ p(x|z) and z ~ q(z|x); 1 for tables, whose
            columns have no common unit.
        noise: the variance of a Gaussian likelihood; None for other likelihoods.
        data_variance: the mean variance of the elements of the data.
    """

    config: Config
    model: ModelConfig
    epochs: Sequence[Epoch]
    steps: int
    train: PerExample
    valid: PerExample
    n_importance_samples: int
    holes: float
    dispersion: float
    noise: float | None
    data_variance: float

    @property
    def is_autoencoder(self) -> bool:
        """Whether the posterior is a point."""
        return self.model.posterior == "point"

    @property
    def beta(self) -> float:
        """The weight of the rate in the loss."""
        objective = self.config.objective
        return 1.0 if objective.kind == "beta-tc" else float(objective.options.get("beta", 1.0))

    @property
    def active(self) -> Tensor:
        """Whether each unit is active, ``(Z,)``."""
        return self.valid.mean.var(0) > ACTIVE

    @property
    def collapsed(self) -> bool:
        """Whether z carries no information about x."""
        return not self.is_autoencoder and (self.valid.rate.mean().item() < NO_INFORMATION or not self.active.any())


Check = Callable[[Measurements], Finding | None]


def diagnose(
    model: VAE,
    config: Config,
    resolved: ModelConfig,
    epochs: Sequence[Epoch],
    dataset: Dataset,
    *,
    n_importance_samples: int = 1000,
    seed: int = 0,
) -> list[Finding]:
    """Return the problems of a trained model; an empty list if there are none.

    Args:
        model: the trained model.
        config: the configuration as the user gave it.
        resolved: the resolved configuration of the model.
        epochs: the metrics of each epoch.
        dataset: the data set of the training; its test split is not used.
        n_importance_samples: K, samples of z per example.
        seed: the random seed.

    Raises:
        BadInput: no epoch has finished, or there are fewer than two validation examples.
    """
    if not epochs or len(dataset.valid) < 2:
        raise BadInput("diagnostics need a finished epoch and at least two validation examples: train for longer")
    measured = take_measurements(
        model, config, resolved, epochs, dataset, n_importance_samples=n_importance_samples, seed=seed
    )
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
    n_importance_samples: int,
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
        valid=per_example(model, valid, n_importance_samples, seed=seed),
        n_importance_samples=n_importance_samples,
        holes=prior_holes(model, valid, seed).share.value if model.posterior_has_density else 0.0,
        dispersion=1.0 if dataset.columns else _dispersion(model, valid, seed),
        noise=likelihood.variance if isinstance(likelihood, Gaussian) else None,
        data_variance=data_variance,
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


# The checks.


def posterior_collapse(measured: Measurements) -> Finding | None:
    """Report a posterior that equals the prior for every x."""
    rate, large_beta = measured.valid.rate.mean().item(), measured.beta > 1
    if not measured.collapsed or (under_training(measured) and not large_beta):
        return None
    active, total = int(measured.active.sum()), len(measured.active)
    cause = f"the rate has the weight {measured.beta:g} in the loss"
    return Finding(
        problem="posterior collapse: z carries no information about x",
        metric="rate",
        value=rate,
        threshold=NO_INFORMATION,
        better="higher",
        evidence=f"the rate is {rate:.3f} nats, and {active} of {total} units are active",
        cause=cause if large_beta else "the decoder learns faster than the encoder",
        remedy="--objective.beta 1" if large_beta else "--objective.kind iwae --objective.n-samples 16",
    )


def idle_units(measured: Measurements) -> Finding | None:
    """Report that more than a fifth of the units are inactive or copies of others."""
    if measured.collapsed or measured.is_autoencoder or len(measured.model.latent) > 1:
        return None
    active = measured.valid.mean[:, measured.active]
    copies = (torch.corrcoef(active.T).view(active.shape[1], -1).abs().triu(1) > 0.95).any(0).sum().item()
    total, useful = len(measured.active), active.shape[1] - int(copies)
    if total - useful <= 0.2 * total:
        return None
    return Finding(
        problem="inactive or redundant latent dimensions",
        metric="idle units",
        value=total - useful,
        threshold=0.2 * total,
        better="lower",
        evidence=f"of {total} units, {total - active.shape[1]} are inactive (variance of the posterior mean below"
        f" {ACTIVE}) and {int(copies)} repeat another unit",
        cause="the data need fewer latent dimensions than the model has",
        remedy=f"--model.latent {max(1, useful)}",
    )


def prior_mismatch(measured: Measurements) -> Finding | None:
    """Report that more than a quarter of the prior's samples lie in holes; by chance it is one in a hundred."""
    if measured.collapsed or measured.holes <= 0.25:
        return None
    components = measured.model.options.get("components")
    return Finding(
        problem="prior holes: the aggregate posterior does not match p(z)",
        metric="holes",
        value=measured.holes,
        threshold=0.25,
        better="lower",
        evidence=f"the aggregate posterior has almost no mass at {100 * measured.holes:.0f} % of the prior's samples",
        cause="the latent means form clusters or fill a part of the prior: samples from elsewhere resemble no data",
        remedy=f"--model.components {2 * components}" if components else "--model.prior vamp",
    )


def over_fitting(measured: Measurements) -> Finding | None:
    """Report a bound of training examples that is better by a quarter of its standard deviation, beyond chance."""
    train, valid = measured.train.bound, measured.valid.bound
    if measured.is_autoencoder:
        train, valid = -measured.train.distortion, -measured.valid.distortion
    gap, std = (train.mean() - valid.mean()).item(), valid.std().item()
    stderr = math.hypot(train.std().item() / len(train) ** 0.5, std / len(valid) ** 0.5)
    if gap < max(0.25 * std, 3 * stderr):
        return None
    options = measured.model.options
    option = "channels" if options.get("channels") else "hidden"
    widths = options.get(option) or ()
    smaller = " ".join(str(max(2, width // 8)) for width in widths)
    fewer = max(1, measured.model.latent[-1] // 2)
    return Finding(
        problem="over-fitting",
        metric="gap",
        value=gap,
        threshold=0.25 * std,
        better="lower",
        evidence=f"training examples {train.mean():.2f} nats, validation examples {valid.mean():.2f} nats:"
        f" a gap of {gap:.2f} ± {stderr:.2f}",
        cause="too few training examples for a model of this size",
        remedy=f"--model.{option} {smaller}" if widths else f"--model.latent {fewer}",
    )


def vanishing_noise(measured: Measurements) -> Finding | None:
    """Report a learned variance below a ten-thousandth of that of the data."""
    noise, variance = measured.noise, measured.data_variance
    if noise is None or measured.model.options.get("variance") != "learned" or noise >= 1e-4 * variance:
        return None
    return Finding(
        problem="vanishing variance of the likelihood",
        metric="noise",
        value=noise / variance,
        threshold=1e-4,
        better="higher",
        evidence=f"the learned variance is {noise:.2g}, that of the data {variance:.2g}",
        cause="the model explains the data without noise, and a density is unbounded: its values measure precision, not"
        " fit",
        remedy=f"--model.variance {0.01 * variance:.2g}",
    )


def unequal_weight(measured: Measurements) -> Finding | None:
    """Report a weight of the rate below a half or above two."""
    if measured.collapsed or measured.is_autoencoder or 0.5 <= measured.beta <= 2:
        return None
    bound = measured.valid.bound.mean().item()
    return Finding(
        problem="the objective is not the bound",
        metric="bound",
        value=bound,
        threshold=None,
        better="higher",
        evidence=f"trained with the weight {measured.beta:g}; the bound {bound:.2f} is that of weight 1",
        cause="the maximized and the reported quantity differ: the bound says little about this training",
        remedy="--objective.beta 1",
    )


def misfit(measured: Measurements) -> Finding | None:
    """Report noise of the data that is more than twice, or less than half, that of the likelihood."""
    factor = max(measured.dispersion, 1 / max(measured.dispersion, 1e-9))
    if factor < 2:
        return None
    model, more, variance = measured.model, measured.dispersion > 1, measured.model.options.get("variance")
    fixed = model.likelihood == "gaussian" and variance != "learned"
    others = {"poisson": "negative-binomial", "gaussian": "gaussian-diagonal"}
    other = f"--model.likelihood {others.get(model.likelihood or '', 'gaussian')}"
    if model.likelihood == "bernoulli":
        other = "--data.binarize resampled"
    return Finding(
        problem="the likelihood does not fit the data",
        metric="misfit",
        value=factor,
        threshold=2.0,
        better="lower",
        evidence=f"the data vary {factor:.1f} times {'more' if more else 'less'} around E[x|z] than under p(x|z)",
        cause=f"the variance {variance} is fixed" if fixed else f"noise that {model.likelihood} cannot represent",
        remedy="--model.variance learned" if fixed else other,
    )


def too_few_samples(measured: Measurements) -> Finding | None:
    """Report that the importance weights of more than one example in twenty have collapsed."""
    k = measured.n_importance_samples
    share, limit = collapsed_weights(measured.valid.effective_sample_size, k)
    if measured.is_autoencoder or share <= COLLAPSED:
        return None
    return Finding(
        problem="too few importance samples for log p(x)",
        metric="collapsed weights",
        value=share,
        threshold=COLLAPSED,
        better="lower",
        evidence=f"of {k} samples, fewer than {limit:g} are effective for {100 * share:.0f} % of the examples",
        cause="the posterior differs from the true one: log p(x) is underestimated",
        remedy=f"aevb evaluate RUN --n-importance-samples {10 * k}, or --measure annealing",
    )


def under_training(measured: Measurements) -> Finding | None:
    """Report too few steps, or a bound that still improved in the second half of training.

    The second half must have brought more than a twentieth of the total gain, and more than a tenth of the standard
    error of the bound, which is measured on the same examples every time.
    """
    merits = [epoch.valid.merit for epoch in measured.epochs if epoch.valid]
    train = measured.config.train
    decay = train.lr_decay if train.lr_schedule == "linear" else 0.0
    # A short decay of the learning rate at the end improves the bound however long the training was.
    steady = merits[: math.ceil((1 - decay) * len(merits))] if decay <= 0.3 else merits
    first, half, best = steady[0], max(steady[: (len(steady) + 1) // 2]), max(steady)
    distortion = measured.valid.distortion
    gain, stderr = best - half, distortion.std().item() / len(distortion) ** 0.5
    late, short = gain > 0.05 * (best - first) and gain > 0.1 * stderr, measured.steps < MIN_STEPS
    if not (late or short):
        return None
    epochs = len(merits) * max(4, math.ceil(4 * MIN_STEPS / measured.steps))
    return Finding(
        problem="training ended too early",
        metric="steps" if short else "late gain",
        value=measured.steps if short else gain / (best - first),
        threshold=MIN_STEPS if short else 0.05,
        better="higher" if short else "lower",
        evidence=f"{len(merits)} epochs of {measured.steps} steps in all; the second half still improved the bound by"
        f" {gain:.2f} of {best - first:.2f} nats",
        cause="too few epochs",
        remedy=f"--train.epochs {epochs}",
    )


EXPLAINS: dict[Check, list[Check]] = {
    posterior_collapse: [under_training],
    idle_units: [],
    prior_mismatch: [],
    over_fitting: [under_training, too_few_samples],
    vanishing_noise: [under_training, misfit, too_few_samples],
    unequal_weight: [under_training, misfit, too_few_samples],
    misfit: [posterior_collapse, under_training, too_few_samples],
    too_few_samples: [],
    under_training: [idle_units, too_few_samples],
}
"""Every check, with the checks whose findings its own finding explains."""
