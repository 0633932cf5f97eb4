"""What is wrong with a model, from its numbers: each finding with its evidence, its likely cause and what to try.

Everything is measured on the validation part: advice that had looked at the test part would spoil it. A finding is made
where its number passes the limit of its check, unless another finding explains it; a model of which nothing is found is
called well.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset, Examples
from aevb.errors import BadInput
from aevb.evaluation.latent_space import prior_holes
from aevb.evaluation.likelihood import ACTIVE, COLLAPSED, PerExample, collapsed, per_example
from aevb.files import write_atomically
from aevb.models.likelihoods import Gaussian
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.training.history import Epoch

EXAMPLES = 1000
"""Examples of a part that are looked at, at most."""
FOR_BOUNDS = 20
"""Draws of z behind the bounds of training examples."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        what: the illness.
        name: the number that shows it.
        value: of this number.
        limit: where illness begins; None where it is not this number that decides.
        better: whether a lower or a higher number is better.
        evidence: the number in words, with what is beside it.
        cause: what is likely behind it.
        remedy: what to try: options to train with again, or a command.
    """

    what: str
    name: str
    value: float
    limit: float | None
    better: Literal["lower", "higher"]
    evidence: str
    cause: str
    remedy: str


class Symptoms(NamedTuple):
    """What a diagnosis looks at.

    Attributes:
        config: as given.
        model: as resolved.
        epochs: of training.
        steps: in all epochs.
        train: numbers of some training examples.
        valid: numbers of some validation examples.
        samples: draws of z behind them.
        holes: share of prior draws where the aggregate posterior has almost no mass; 0 where there is no prior.
        misfit: Σ (x - E x)² / Σ Var x over validation examples, x ~ p(x|z) and z ~ q(z|x); 1 of a table, whose columns
            have no unit in common.
        noise: variance of a Gaussian likelihood; None of another one.
        spread: mean variance of the elements of the data.
    """

    config: Config
    model: ModelConfig
    epochs: list[Epoch]
    steps: int
    train: PerExample
    valid: PerExample
    samples: int
    holes: float
    misfit: float
    noise: float | None
    spread: float

    @property
    def point(self) -> bool:
        """Whether the model is an autoencoder."""
        return self.model.posterior == "point"

    @property
    def beta(self) -> float:
        """The weight of the rate in the loss."""
        objective = self.config.objective
        return 1.0 if objective.kind == "beta-tc" else float(objective.options.get("beta", 1.0))

    @property
    def active(self) -> Tensor:
        """Which units are active, ``(Z,)``."""
        return self.valid.mean.var(0) > ACTIVE

    @property
    def collapsed(self) -> bool:
        """Whether the code says nothing of the data."""
        return not self.point and (self.valid.rate.mean().item() < NOTHING or not self.active.any())


FINDINGS = "findings.json"
NOTHING = 0.1
"""Nats of rate below which a code is called empty."""
HARDLY_ANY = 500
"""Steps that are too few for anything."""


def diagnose(run: RunFolder, dataset: Dataset, *, samples: int = 1000, seed: int = 0) -> list[Finding]:
    """What is wrong with a trained model; nothing, where all is well.

    Args:
        run: trained.
        dataset: the one it was trained on; its test part is not looked at.
        samples: draws of z for each example.
        seed: of the draws.

    Raises:
        BadInput: no epoch has been finished, or there is no second validation example.
    """
    if not run.epochs or len(dataset.valid) < 2:
        raise BadInput(f"{run.folder} cannot be judged: it needs an epoch that has ended and two validation examples")
    symptoms = examine(run, dataset, samples=samples, seed=seed)
    found = {check: finding for check in EXPLAINS if (finding := check(symptoms))}
    explained = {other for check in found for other in EXPLAINS[check]}
    return [finding for check, finding in found.items() if check not in explained]


def remember(run: RunFolder, findings: list[Finding]) -> None:
    """Write findings into the folder of a run, for its page."""
    text = json.dumps([asdict(finding) for finding in findings], indent=2, allow_nan=False)
    write_atomically(run.folder / FINDINGS, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def remembered(run: RunFolder) -> list[Finding] | None:
    """The findings that were last written; None where there are none that can be read."""
    try:
        content = json.loads((run.folder / FINDINGS).read_text(encoding="utf-8"))
        return [Finding(**finding) for finding in content]
    except (OSError, ValueError, TypeError):
        return None


def examine(run: RunFolder, dataset: Dataset, *, samples: int, seed: int) -> Symptoms:
    """Measure what the checks need, on at most `EXAMPLES` training and validation examples each."""
    train, valid = dataset.train.subsample(EXAMPLES), dataset.valid.subsample(EXAMPLES)
    likelihood: nn.Module = run.model.likelihood
    point = run.resolved.posterior == "point"
    with seeded(seed, RNGStream.EVALUATION):
        spread = train.all().x.var(0).mean().item()
    return Symptoms(
        config=run.config,
        model=run.resolved,
        epochs=run.epochs,
        steps=len(run.epochs) * run.config.train.plan(run.data.train)[1],
        train=per_example(run.model, train, FOR_BOUNDS, seed=seed),
        valid=per_example(run.model, valid, samples, seed=seed),
        samples=samples,
        holes=0.0 if point else prior_holes(run.model, valid, seed).share.value,
        misfit=1.0 if dataset.columns else _misfit(run.model, valid, seed),
        noise=likelihood.variance if isinstance(likelihood, Gaussian) else None,
        spread=spread,
    )


@torch.no_grad()
def _misfit(model: VAE, examples: Examples, seed: int) -> float:
    device, squares, variances = model.device, 0.0, 0.0
    with seeded(seed, RNGStream.EVALUATION, device=device):
        for batch in examples.batches(100):
            batch = batch.to(device)
            z = model.top_down(model.bottom_up(batch), lambda q: q.rsample())[-1].z
            p = model.decode(z, batch.condition)
            squares += (batch.x - p.mean).square().sum().item()
            variances += p.variance.sum().item()
    return squares / variances


# The checks, each with the limit at which it makes a finding.


def posterior_collapse(found: Symptoms) -> Finding | None:
    """The code is empty: the posterior is the prior, whatever x is."""
    rate, heavy = found.valid.rate.mean().item(), found.beta > 1
    weighty = f"the rate weighs {found.beta:g} times in the loss"
    if not found.collapsed or (under_training(found) and not heavy):
        return None
    return Finding(
        what="posterior collapse: z says nothing of x",
        name="rate",
        value=rate,
        limit=NOTHING,
        better="higher",
        evidence=f"the rate is {rate:.3f} nats, and {int(found.active.sum())} of {len(found.active)} units are active",
        cause=weighty if heavy else "the decoder learns faster than the encoder",
        remedy="--objective.beta 1" if heavy else "--objective.kind iwae --objective.n-samples 16",
    )


def idle_units(found: Symptoms) -> Finding | None:
    """More than a fifth of the units are dead, or copies of others."""
    if found.collapsed or found.point or len(found.model.latent) > 1:
        return None
    active = found.valid.mean[:, found.active]
    copies = (torch.corrcoef(active.T).view(active.shape[1], -1).abs().triu(1) > 0.95).any(0).sum().item()
    total, useful = len(found.active), active.shape[1] - int(copies)
    if total - useful <= 0.2 * total:
        return None
    return Finding(
        what="dead or redundant dimensions",
        name="idle units",
        value=total - useful,
        limit=0.2 * total,
        better="lower",
        evidence=f"of {total} units {total - active.shape[1]} are dead (variance of the posterior mean below {ACTIVE})"
        f" and {int(copies)} repeat another",
        cause="the data need fewer dimensions than z has",
        remedy=f"--model.latent {max(1, useful)}",
    )


def prior_mismatch(found: Symptoms) -> Finding | None:
    """Under more than a quarter of the prior's draws there is no data; by chance it is one in a hundred."""
    if found.collapsed or found.holes <= 0.25:
        return None
    components = found.model.options.get("components")
    return Finding(
        what="holes under the prior: the codes as a whole are not distributed like p(z)",
        name="holes",
        value=found.holes,
        limit=0.25,
        better="lower",
        evidence=f"{100 * found.holes:.0f} % of the prior's draws lie where the aggregate posterior has almost no mass",
        cause="the codes form clusters, or fill a part of what the prior covers: samples from elsewhere are of no kind",
        remedy=f"--model.components {2 * components}" if components else "--model.prior vamp",
    )


def over_fitting(found: Symptoms) -> Finding | None:
    """The bound of training examples is better by a quarter of its deviation between examples, beyond chance."""
    train, valid = (-(part.rate + part.distortion) for part in (found.train, found.valid))
    if found.point:
        train, valid = -found.train.distortion, -found.valid.distortion
    gap, deviation = (train.mean() - valid.mean()).item(), valid.std().item()
    error = math.hypot(train.std().item() / len(train) ** 0.5, deviation / len(valid) ** 0.5)
    if gap < max(0.25 * deviation, 3 * error):
        return None
    widths = found.model.options.get("hidden") or found.model.options.get("channels") or ()
    smaller = " ".join(str(max(2, width // 8)) for width in widths)
    option = "channels" if found.model.options.get("channels") else "hidden"
    return Finding(
        what="over-fitting",
        name="gap",
        value=gap,
        limit=0.25 * deviation,
        better="lower",
        evidence=f"training examples {train.mean():.2f} nats, validation examples {valid.mean():.2f}:"
        f" {gap:.2f} ± {error:.2f} between them",
        cause="too few training examples for so large a model",
        remedy=f"--model.{option} {smaller}" if widths else f"--model.latent {max(1, found.model.latent[-1] // 2)}",
    )


def vanishing_noise(found: Symptoms) -> Finding | None:
    """The variance of the likelihood is below a ten-thousandth of that of the data."""
    if found.noise is None or found.model.options.get("variance") != "learned" or found.noise >= 1e-4 * found.spread:
        return None
    return Finding(
        what="a variance that goes to zero",
        name="noise",
        value=found.noise / found.spread,
        limit=1e-4,
        better="higher",
        evidence=f"the learned variance is {found.noise:.2g}, that of the data {found.spread:.2g}",
        cause="the model explains the data without any noise, and a density has no upper end: its numbers measure"
        " precision, not fit",
        remedy=f"--model.variance {0.01 * found.spread:.2g}",
    )


def weight(found: Symptoms) -> Finding | None:
    """The loss weighs the rate by less than a half or more than twice."""
    if found.collapsed or found.point or 0.5 <= found.beta <= 2:
        return None
    bound = -(found.valid.rate + found.valid.distortion).mean().item()
    return Finding(
        what="an objective that is not the bound",
        name="bound",
        value=bound,
        limit=None,
        better="higher",
        evidence=f"trained with the weight {found.beta:g}, and the bound {bound:.2f} is that of weight 1",
        cause="what was maximised and what is reported are different things: the bound says little of this training",
        remedy="--objective.beta 1",
    )


def misfit(found: Symptoms) -> Finding | None:
    """The noise of the data is more than twice, or less than half, of what the likelihood says."""
    off = max(found.misfit, 1 / max(found.misfit, 1e-9))
    if off < 2:
        return None
    model, more = found.model, found.misfit > 1
    fixed = model.likelihood == "gaussian" and model.options.get("variance") != "learned"
    others = {"poisson": "negative-binomial", "gaussian": "gaussian-diagonal"}
    other = f"--model.likelihood {others.get(model.likelihood or '', 'gaussian')}"
    if model.likelihood == "bernoulli":
        other = "--data.binarize resampled"
    return Finding(
        what="a likelihood that does not fit the data",
        name="misfit",
        value=off,
        limit=2.0,
        better="lower",
        evidence=f"the data are {off:.1f} times {'more' if more else 'less'} spread around E[x|z] than p(x|z) says",
        cause=f"the variance {model.options.get('variance')} is fixed"
        if fixed
        else f"noise that {model.likelihood} does not have",
        remedy="--model.variance learned" if fixed else other,
    )


def too_few_samples(found: Symptoms) -> Finding | None:
    """The importance weights of more than one example in twenty have collapsed."""
    share, few = collapsed(found.valid.effective, found.samples)
    if found.point or share <= COLLAPSED:
        return None
    return Finding(
        what="too few importance samples for log p(x)",
        name="collapsed weights",
        value=share,
        limit=COLLAPSED,
        better="lower",
        evidence=f"of {found.samples} draws, fewer than {few:g} count for {100 * share:.0f} % of the examples",
        cause="the posterior is not shaped like the true one: log p(x) is estimated too low",
        remedy=f"aevb evaluate RUN --n-importance-samples {10 * found.samples}, or --measure annealing",
    )


def under_training(found: Symptoms) -> Finding | None:
    """There were hardly any steps, or the second half of them still brought a twentieth of all that training gained,
    and not next to nothing: a tenth of the bound's standard error, which is measured on the same examples every time.
    """
    merits = [epoch.valid.merit for epoch in found.epochs if epoch.valid]
    train = found.config.train
    decay = train.lr_decay if train.lr_schedule == "linear" else 0.0
    # A short fall of the learning rate at the end brings something however long the training was.
    steady = merits[: math.ceil((1 - decay) * len(merits))] if decay <= 0.3 else merits
    first, half, best = steady[0], max(steady[: (len(steady) + 1) // 2]), max(steady)
    gain, error = best - half, found.valid.distortion.std().item() / len(found.valid.distortion) ** 0.5
    late, short = gain > 0.05 * (best - first) and gain > 0.1 * error, found.steps < HARDLY_ANY
    if not (late or short):
        return None
    epochs = len(merits) * max(4, math.ceil(4 * HARDLY_ANY / found.steps))
    return Finding(
        what="not trained to the end",
        name="steps" if short else "late gain",
        value=found.steps if short else gain / (best - first),
        limit=HARDLY_ANY if short else 0.05,
        better="higher" if short else "lower",
        evidence=f"{len(merits)} epochs of {found.steps} steps in all; the second half still brought {gain:.2f} nats"
        f" of {best - first:.2f}",
        cause="too few epochs",
        remedy=f"--train.epochs {epochs}",
    )


EXPLAINS: dict[Callable[[Symptoms], Finding | None], list[Callable[[Symptoms], Finding | None]]] = {
    posterior_collapse: [under_training],
    idle_units: [],
    prior_mismatch: [],
    over_fitting: [under_training, too_few_samples],
    vanishing_noise: [under_training, misfit, too_few_samples],
    weight: [under_training, misfit, too_few_samples],
    misfit: [posterior_collapse, under_training, too_few_samples],
    too_few_samples: [],
    under_training: [idle_units, too_few_samples],
}
"""Every check, and the findings of others that its own explains."""
