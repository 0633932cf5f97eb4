"""The checks of the diagnosis: each reports a problem if its metric is beyond the threshold."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from aevb.config.presets import replaced
from aevb.errors import counted
from aevb.evaluation.diagnosis.findings import NO_INFORMATION, Finding, Measurements
from aevb.evaluation.likelihood import ACTIVE

MIN_STEPS = 500
"""The number of steps below which any model is under-trained."""
LISTED = 5
"""Number of outliers that are named."""

HIGH_LR = 0.02
"""The largest learning rate that is not suspected."""
LARGE_FALL = 0.5
"""The fall of the bound from one epoch to the next, in standard deviations over examples, that shows instability at a
high learning rate."""
DIVERGENCE = 3.0
"""The same after the best epoch, at any learning rate: on MNIST, 0.002 can diverge after 80 to 200 epochs."""
SHARED = 0.1
"""The share of the variance of residuals in one direction, beyond chance, that shows a missing latent dimension."""
UNEQUAL = 0.05
"""What a variance for each element would gain, in nats per element, if the noise is unequal."""

LEARNED = "--model.variance learned"
"""The remedy of a fixed variance that does not suit the data."""

Check = Callable[[Measurements], Finding | None]


def high_learning_rate(measured: Measurements) -> Finding | None:
    """Report a high learning rate if the bound fell during training, or if Adam ended at a useless model."""
    lr, std = measured.config.train.learning_rate(measured.steps), measured.valid.distortion.std().item()
    merits = torch.tensor([epoch.valid.merit for epoch in measured.epochs if epoch.valid])
    fall = _largest_fall(merits)
    diverged = len(merits) > 0 and _largest_fall(merits[merits.argmax() :]) > DIVERGENCE * std
    unstable = lr > HIGH_LR and fall > LARGE_FALL * std
    suspected = lr > HIGH_LR and measured.config.train.optimizer == "adam"
    useless = suspected and (measured.collapsed or behind_simple_model(measured))
    if not (diverged or unstable or useless):
        return None
    bound = measured.valid.bound.mean().item()
    return Finding(
        problem="the learning rate is too high",
        metric="bound",
        value=bound,
        threshold=None,
        better="higher",
        evidence=f"at the learning rate {lr:g} the largest fall of the bound from one epoch to the next is"
        f" {fall:.2f} nats, with a standard deviation over examples of {std:.2f}; it ended at {bound:.2f}",
        cause="each step overshoots the optimum",
        remedy=f"--train.lr {lr / (30 if lr > HIGH_LR else 2):.1g}",
    )


def _largest_fall(merits: Tensor) -> float:
    """Return the largest fall from one epoch to the next; 0 for fewer than two epochs."""
    return max(0.0, -merits.diff().amin().item()) if len(merits) > 1 else 0.0


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
    """Report that more than a fifth of a chosen number of units are inactive or copies of others.

    The default number leaves dimensions that the data do not need inactive, at no cost in log p(x).
    """
    if not measured.has_chosen_latent:
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


def few_dimensions(measured: Measurements) -> Finding | None:
    """Report residuals of real vectors that vary together: a direction of the data is left to the noise.

    The metric is (λ - e) / (D - e), with λ the largest eigenvalue of the correlation matrix of D elements and e its
    limit for N independent residuals, (1 + √(D/N))² (Marchenko & Pastur 1967).
    """
    if measured.residuals is None or not measured.has_chosen_latent or not measured.active.all():
        return None
    if not str(measured.model.likelihood).startswith("gaussian"):
        return None
    scaled = (measured.residuals / measured.residuals.std(0)).clamp(-3, 3)
    scaled = scaled[:, scaled.std(0) > 0]
    count, width = scaled.shape
    chance = (1 + math.sqrt(width / count)) ** 2
    if chance >= width:
        return None
    shared = (torch.linalg.eigvalsh(scaled.T.corrcoef())[-1].item() - chance) / (width - chance)
    if shared <= SHARED:
        return None
    latent = measured.model.layers[0]
    return Finding(
        problem="too few latent dimensions",
        metric="shared residuals",
        value=shared,
        threshold=SHARED,
        better="lower",
        evidence=f"x - E[x|z] varies along one direction of the {width} elements: its share of their variance is"
        f" {100 * shared:.0f} % more than by chance",
        cause=f"{latent} latent dimensions represent fewer directions than the data have",
        remedy=f"--model.latent {2 * latent}",
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
    """Report log p(x) of training examples that is better by a quarter of its standard deviation, beyond chance."""
    train, valid = measured.train_log_px, measured.valid_log_px
    gap, std = (train.mean() - valid.mean()).item(), valid.std().item()
    stderr = math.hypot(train.std().item() / len(train) ** 0.5, std / len(valid) ** 0.5)
    if gap < max(0.25 * std, 3 * stderr):
        return None
    return Finding(
        problem="over-fitting",
        metric="gap",
        value=gap,
        threshold=0.25 * std,
        better="lower",
        evidence=f"log p(x): training examples {train.mean():.2f} nats, validation examples {valid.mean():.2f} nats:"
        f" a gap of {gap:.2f} ± {stderr:.2f}",
        cause="too few training examples for a model of this size",
        remedy="more training examples",
    )


def behind_simple_model(measured: Measurements) -> Finding | None:
    """Report that a simpler model explains the validation examples better.

    By more than chance, and by more than a tenth of what the simpler model gains over a linear one.
    """
    if not measured.simple or measured.is_autoencoder or _has_known_cause(measured):
        return None
    linear, best = measured.simple[0], max(measured.simple, key=lambda simple: simple.log_px.mean().item())
    difference = best.log_px - measured.valid_log_px
    lead, stderr = difference.mean().item(), difference.std().item() / len(difference) ** 0.5
    limit = max(0.1 * (best.log_px - linear.log_px).mean().item(), 3 * stderr)
    if lead < limit:
        return None
    others = [f"--{name}" for name in replaced("density", dict(measured.config))]
    return Finding(
        problem="a simpler model is better",
        metric="lead of a simpler model",
        value=lead,
        threshold=limit,
        better="lower",
        evidence=f"log p(x) of validation examples: {best.name} {best.log_px.mean():.2f} nats, this model"
        f" {measured.valid_log_px.mean():.2f} nats",
        cause="training found a poor optimum: z was given up early, where the KL outweighs what z explains",
        remedy="--preset density" + (f" without {', '.join(others)}" if others else ""),
    )


def _has_known_cause(measured: Measurements) -> bool:
    """Return whether few steps, the weight of the rate or a fixed variance explain a poor model."""
    found = misfit(measured)
    fixed = found is not None and found.remedy == LEARNED
    return fixed or measured.steps < MIN_STEPS or not 0.5 <= measured.beta <= 2


def vanishing_noise(measured: Measurements) -> Finding | None:
    """Report a learned variance below a ten-thousandth of that of the data."""
    noise, learned = measured.noise, isinstance(measured.model.options.get("variance"), str)
    if noise is None or not learned or noise >= 1e-4:
        return None
    return Finding(
        problem="vanishing variance of the likelihood",
        metric="noise",
        value=noise,
        threshold=1e-4,
        better="higher",
        evidence=f"the learned variance is {noise:.2g} of that of the data",
        cause="the model explains the data without noise, and a density is unbounded: its values measure precision, not"
        " fit",
        remedy=f"--model.variance {0.01 * measured.data_variance:.2g}",
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
    binary = measured.model.likelihood == "bernoulli" and measured.config.data.binarize != "treat-as-probabilities"
    if factor < 2 or binary:
        return None
    model, more, variance = measured.model, measured.dispersion > 1, measured.model.options.get("variance")
    fixed = model.likelihood == "gaussian" and not isinstance(variance, str)
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
        remedy=LEARNED if fixed else other,
    )


def unequal_noise(measured: Measurements) -> Finding | None:
    """Report vectors whose noise differs between elements, under a likelihood with one variance.

    A variance for each element gains ½ (log mean_j s_j² - mean_j log s_j²) nats per element, with s_j² the mean square
    of x_j - E[x_j|z].
    """
    if measured.residuals is None or measured.model.likelihood != "gaussian" or measured.is_autoencoder:
        return None
    if measured.model.options.get("variance") == "per-element":
        return None
    squares = measured.residuals.square().mean(0)
    squares = squares[squares > 0]
    gain = 0.5 * (squares.mean().log() - squares.log().mean()).item()
    if gain <= UNEQUAL:
        return None
    return Finding(
        problem="the noise differs between elements",
        metric="gain",
        value=gain,
        threshold=UNEQUAL,
        better="lower",
        evidence=f"a variance for each element would gain {gain * len(squares):.2f} nats per example:"
        f" x - E[x|z] has standard deviations from {squares.min().sqrt():.2g} to {squares.max().sqrt():.2g}",
        cause="the likelihood has one variance for all elements",
        remedy="--model.variance per-element",
    )


def under_training(measured: Measurements) -> Finding | None:
    """Report too few steps, or a bound that still improved in the second half of training.

    The second half must have brought more than a twentieth of the total gain, and more than a tenth of the standard
    error of the bound, which is measured on the same examples every time.
    """
    merits = [epoch.valid.merit for epoch in measured.epochs if epoch.valid]
    train, objective = measured.config.train, measured.config.objective
    if objective.then:  # the bounds of two objectives are not comparable
        merits = merits[round(objective.then_from * len(merits)) :] or merits[-1:]
    decay = train.lr_decay if train.lr_schedule == "linear" else 0.0
    # A short decay of the learning rate at the end improves the bound however long the training was.
    steady = merits[: math.ceil((1 - decay) * len(merits))] if decay <= 0.3 else merits
    first, half, best = steady[0], max(steady[: (len(steady) + 1) // 2]), max(steady)
    distortion = measured.valid.distortion
    gain, stderr = best - half, distortion.std().item() / len(distortion) ** 0.5
    late, short = gain > 0.05 * (best - first) and gain > 0.1 * stderr, measured.steps < MIN_STEPS
    if not (late or short):
        return None
    count = len(measured.epochs)
    epochs = count * max(4, math.ceil(4 * MIN_STEPS / measured.steps))
    improvement = f"the second half still improved the bound by {gain:.2f} of {best - first:.2f} nats"
    return Finding(
        problem="training ended too early",
        metric="steps" if short else "late gain",
        value=measured.steps if short else gain / (best - first),
        threshold=MIN_STEPS if short else 0.05,
        better="higher" if short else "lower",
        evidence=f"{counted(count, 'epoch')} of {counted(measured.steps, 'step')} in all"
        + f"; {improvement}" * (len(merits) > 1),
        cause="too few epochs",
        remedy=f"--train.epochs {epochs}",
    )


def outlying_rows(measured: Measurements) -> Finding | None:
    """Report rows with a value that is isolated from all others."""
    found = measured.outliers
    if not found:
        return None
    named = ", ".join(f"{outlier.column} = {outlier.text} in row {outlier.row}" for outlier in found[:LISTED])
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return Finding(
        problem="outliers",
        metric="outliers",
        value=len(found),
        threshold=0,
        better="lower",
        evidence=f"{named}{more}, rows counted from 0: far from all others, given the rest of the row",
        cause="wrong values, or rare ones: they hardly influence the model, but means over examples depend on them",
        remedy="correct or remove these rows if they are wrong",
    )


_EXPLAINS: dict[Check, list[Check]] = {
    posterior_collapse: [under_training],
    idle_units: [],
    few_dimensions: [behind_simple_model, under_training],
    prior_mismatch: [],
    behind_simple_model: [posterior_collapse, prior_mismatch, misfit, under_training],
    over_fitting: [few_dimensions, prior_mismatch, misfit, under_training],
    vanishing_noise: [few_dimensions, misfit, unequal_noise, under_training],
    unequal_weight: [vanishing_noise, few_dimensions, misfit, unequal_noise, under_training],
    misfit: [posterior_collapse, few_dimensions, unequal_noise, under_training],
    unequal_noise: [few_dimensions, behind_simple_model, under_training],
    under_training: [idle_units, prior_mismatch],
    outlying_rows: [few_dimensions, vanishing_noise, misfit, unequal_noise],
}
EXPLAINS: dict[Check, list[Check]] = {high_learning_rate: list(_EXPLAINS), **_EXPLAINS}
"""Every check, with the checks whose findings its own finding explains."""
