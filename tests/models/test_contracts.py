"""One contract for every instance of a kind: every distribution, posterior, prior, likelihood and objective, and all of
them together."""

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, ObjectiveConfig
from aevb.data import Dataset, Kind
from aevb.models import likelihoods
from aevb.models.distributions import closed_form_kl
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run
from tests.conftest import some

KINDS: dict[str, Kind] = {name: likelihood.supports[-1] for name, likelihood in register.likelihood.items()}
"""The most general kind of data that each likelihood supports."""
LIKELIHOODS = [name for name, kind in KINDS.items() if kind != "columns"]
"""Those of one kind of values; the likelihood of tables has tests of its own."""
OBJECTIVES = register.objective.names()
POSTERIORS = [name for name, posterior in register.posterior.items() if posterior.has_density]
"""Those with a density; a point is the posterior of an autoencoder and has tests of its own."""
PRIORS = register.prior.names()
EVENTS = [(1,), (3,), (1, 4, 4)]


def data_for(likelihood: str, event: tuple[int, ...]) -> Dataset:
    return some(KINDS[likelihood], event)


def model_for(event: tuple[int, ...] = (3,), *, spread: float = 0.3, seed: int = 0, **options: Any) -> VAE:
    """A small model whose parameters are all away from where they start."""
    options = {"hidden": (4,), "latent": 2, "components": None} | options
    if options.get("prior") in ("mixture", "vamp"):
        options["components"] = 3
    dataset = data_for(str(options.get("likelihood", "gaussian")), event)
    with seeded(seed, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig.model_validate(options), dataset), event)
        model.initialize(dataset.train.all().x)
        for parameter in model.parameters():
            parameter.data.add_(spread * torch.randn_like(parameter))
    return model.eval()


# Every posterior and prior: a density over z.


def latent_distributions() -> list[Any]:
    names = [*((name, "normal") for name in POSTERIORS), *(("diagonal", name) for name in PRIORS)]
    return [pytest.param(*pair, id="-".join(pair), marks=pytest.mark.slow if "flow" in pair else ()) for pair in names]


def over_the_plane(posterior: str, prior: str) -> Distribution:
    """In float64: q(z|x) of one example, or p(z), whichever of the two is not the plain one."""
    # A flow far from where it starts has tails that no grid holds.
    spread = 0.1 if "flow" in (posterior, prior) else 0.3
    model = model_for(posterior=posterior, prior=prior, spread=spread).double()
    q = model.encode(torch.randn(1, 3, dtype=torch.float64))
    return model.prior_distribution() if prior != "normal" or posterior == "diagonal" else q


@pytest.mark.parametrize(("posterior", "prior"), latent_distributions())
def test_density_over_the_plane_integrates_to_one(posterior: str, prior: str) -> None:
    distribution = over_the_plane(posterior, prior)
    step, extent = 0.02, 12.0
    ticks = torch.arange(-extent, extent, step, dtype=torch.float64)
    with torch.no_grad():
        total = sum(
            distribution.log_prob(torch.cartesian_prod(row, ticks).view(-1, *distribution.batch_shape, 2)).exp().sum()
            for row in ticks.split(100)
        )
    assert float(total) * step**2 == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("posterior", "prior"), latent_distributions())
def test_draws_follow_the_density(posterior: str, prior: str) -> None:
    """A chi-square test of 40,000 draws on cells of a grid: false alarm below 1e-6 for any seed."""
    distribution, count, side = over_the_plane(posterior, prior), 40_000, 48
    with torch.no_grad():
        z = distribution.sample((count,)).view(count, 2)
        low, high = z.quantile(0.005, dim=0), z.quantile(0.995, dim=0)
        fine = 10 * side
        ticks = [
            torch.linspace(0.5 / fine, 1 - 0.5 / fine, fine, dtype=z.dtype) * (high - low)[j] + low[j] for j in (0, 1)
        ]
        grid = torch.cartesian_prod(*ticks).view(-1, *distribution.batch_shape, 2)
        density = distribution.log_prob(grid).exp().view(side, 10, side, 10)
    expected = density.sum((1, 3)).numpy() * float(((high - low) / fine).prod()) * count
    edges = [np.linspace(float(low[j]), float(high[j]), side + 1) for j in (0, 1)]
    observed = np.histogram2d(z[:, 0].numpy(), z[:, 1].numpy(), bins=edges)[0]
    enough = expected > 10
    # The cells left out are one more cell.
    observed, expected = np.append(observed[enough], 0), np.append(expected[enough], 0)
    observed[-1], expected[-1] = count - observed.sum(), count - expected.sum()
    statistic = ((observed - expected) ** 2 / expected.clip(1e-9)).sum()
    assert scipy.stats.chi2.sf(statistic, len(expected) - 1) > 1e-6


@pytest.mark.parametrize(("posterior", "prior"), latent_distributions())
@pytest.mark.parametrize(("samples", "batch"), [(1, 1), (1, 4), (3, 1), (5, 2)])
def test_latent_shapes(posterior: str, prior: str, samples: int, batch: int) -> None:
    model = model_for(posterior=posterior, prior=prior)
    q, p = model.encode(torch.randn(batch, 3)), model.prior_distribution()
    z = q.rsample((samples,))
    assert z.shape == (samples, batch, 2)
    assert q.log_prob(z).shape == p.log_prob(z).shape == (samples, batch)
    assert q.mean.shape == q.variance.shape == (batch, 2)
    assert p.sample((samples,)).shape == (samples, 2)


NOT_FLOWS = [pair for pair in itertools.product(POSTERIORS, PRIORS) if "flow" not in pair]
"""The flows of zuko need at least one point."""


@pytest.mark.parametrize(("posterior", "prior"), NOT_FLOWS)
def test_no_examples_give_empty_tensors(posterior: str, prior: str) -> None:
    model, x = model_for(posterior=posterior, prior=prior), torch.zeros(0, 3)
    assert model.encode(x).mean.shape == (0, 2)
    assert model.trace(x, 5).log_likelihood.shape == (5, 0)
    assert model.log_joint(x, torch.zeros(5, 0, 2)).shape == (5, 0)
    assert model.reconstruct(x).shape == model.sample(0).shape == (0, 3)
    assert model.prior_distribution().sample((2, 0)).shape == (2, 0, 2)


@pytest.mark.parametrize("draw", [False, True])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_no_samples_are_an_empty_tensor(name: str, draw: bool) -> None:
    assert model_for(likelihood=name).sample(0, draw=draw).shape == (0, 3)


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_densities_at_draws_hold_for_examples_far_from_all_others(posterior: str, sign: int) -> None:
    """With a variance of nearly nothing, z - μ would be what rounding leaves of it, and log q(z) anything."""
    head: nn.Module = register.posterior[posterior](1, 3).double()
    head.get_submodule("head").weight.data[3:6] = sign * 1e4  # type: ignore[operator]  # s
    made = head(torch.ones(1, 1, dtype=torch.float64))
    draws = made.rsample((1000,))
    assert made.log_prob(draws).mean().item() == pytest.approx(-made.entropy().item(), abs=0.2)


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", PRIORS)
def test_divergence_in_closed_form_matches_monte_carlo(posterior: str, prior: str) -> None:
    """Where there is one: within 5 standard errors of 50,000 draws, for 3 examples: false alarm below 1e-5."""
    model = model_for(posterior=posterior, prior=prior).double()
    with torch.no_grad():
        q, p = model.encode(torch.randn(3, 3, dtype=torch.float64)), model.prior_distribution()
        known = closed_form_kl(q, p)
        assert (known is not None) == (prior == "normal" and posterior != "flow")
        if known is None:
            return
        z = q.sample((50_000,))
        ratio = q.log_prob(z) - p.log_prob(z)
    assert ((ratio.mean(0) - known).abs() < 5 * ratio.std(0) / math.sqrt(len(z))).all()


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_moments_of_posteriors(posterior: str) -> None:
    """Against 100,000 draws, within 5 standard errors; of a flow near its start, within the error of its 255 points."""
    flow = posterior == "flow"
    with torch.no_grad():
        model = model_for(posterior=posterior, spread=0.05 if flow else 0.3).double()
        q = model.encode(torch.randn(2, 3, dtype=torch.float64))
        z = q.sample((100_000,))
    slack = 0.05 if flow else 0.0
    error = z.std(0) / math.sqrt(len(z))
    assert ((z.mean(0) - q.mean).abs() < 5 * error + slack * z.std(0)).all()
    spread = (z - z.mean(0)).square()
    tolerance = 5 * spread.std(0) / math.sqrt(len(z)) + 4 * slack * z.var(0)
    assert ((spread.mean(0) - q.variance).abs() < tolerance).all()


# Every likelihood: a density or probability over x.


def outputs(name: str, event: tuple[int, ...], *batch: int) -> tuple[likelihoods.Likelihood, Tensor]:
    model = model_for(event, likelihood=name)
    likelihood: likelihoods.Likelihood = model.likelihood.double()
    generator = torch.Generator().manual_seed(0)
    return likelihood, torch.randn(*batch, *likelihood.output, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("batch", [(1, 1), (1, 4), (3, 1), (3, 2)])
def test_likelihood_shapes(name: str, event: tuple[int, ...], batch: tuple[int, ...]) -> None:
    likelihood, output = outputs(name, event, *batch)
    p = likelihood(output)
    x = p.sample()
    assert x.shape == p.mean.shape == p.variance.shape == (*batch, *event)
    assert p.log_prob(x).shape == batch
    assert p.log_prob(x[0]).shape == batch
    assert p.sample((2,)).shape == (2, *batch, *event)
    assert p.support is not None
    assert p.support.check(x).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihood_sums_to_one(name: str) -> None:
    """Over one element, for twenty outputs."""
    likelihood, output = outputs(name, (1,), 20)
    kind, step = KINDS[name], 1.0
    if kind in ("binary", "counts"):
        x = torch.arange({"bernoulli": 2, "categorical": getattr(likelihood, "classes", 0)}.get(name, 2000)).double()
    elif kind == "unit":
        step = 1e-4
        x = torch.arange(step / 2, 1, step, dtype=torch.float64)
    else:
        step = 1e-3
        x = torch.arange(-60, 60, step, dtype=torch.float64)
    total = likelihood(output).log_prob(x.view(-1, 1, 1)).exp().sum(0) * step
    np.testing.assert_allclose(total.detach().numpy(), 1, atol=2e-5)


def test_full_gaussian_integrates_to_one_over_the_plane() -> None:
    likelihood, output = outputs("gaussian-full", (2,), 1)
    ticks = torch.arange(-25, 25, 0.05, dtype=torch.float64)
    p = likelihood(0.5 * output)
    total = sum(
        p.log_prob(torch.cartesian_prod(row, ticks).view(-1, 1, 2)).exp().sum().item() for row in ticks.split(100)
    )
    assert total * 0.05**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_of_likelihoods_have_the_moments(name: str) -> None:
    """Means and variances of 100,000 draws of 6 elements within 5.5 standard errors: false alarm below 1e-6."""
    likelihood, output = outputs(name, (3,), 2)
    with torch.no_grad():
        p = likelihood(output)
        x = p.sample((100_000,)).double()
    for values, expected in ((x, p.mean), ((x - p.mean).square(), p.variance)):
        error = values.std(0) / math.sqrt(len(x))
        assert ((values.mean(0) - expected).abs() < 5.5 * error + 1e-9).all()


REFERENCES: dict[str, Callable[[Any, Any], Any]] = {
    "Laplace": lambda p, x: scipy.stats.laplace(p.loc, p.log_scale.exp()).logpdf(x),
    "Poisson": lambda p, x: scipy.stats.poisson(p.log_rate.exp()).logpmf(x),
    "NegativeBinomial": lambda p, x: scipy.stats.nbinom(
        p.log_total.exp(), 1 / (1 + (p.log_mean - p.log_total).exp())
    ).logpmf(x),
    "ContinuousBernoulli": lambda p, x: torch.distributions.ContinuousBernoulli(logits=p.logits).log_prob(x).numpy(),
    "Categorical": lambda p, x: np.take_along_axis(
        p.log_probabilities.numpy(), x.numpy().astype(int)[..., None], -1
    ).squeeze(-1),
}


@pytest.mark.parametrize("name", ["laplace", "poisson", "negative-binomial", "continuous-bernoulli", "categorical"])
def test_log_densities_against_references(name: str) -> None:
    likelihood, output = outputs(name, (3,), 40)
    with torch.no_grad():
        p = likelihood(output)
        x = p.sample().double()
        expected = REFERENCES[type(p).__name__](p, x).sum(-1)
        np.testing.assert_allclose(p.log_prob(x).numpy(), expected, rtol=1e-6, atol=1e-8)


def test_full_gaussian_against_scipy() -> None:
    likelihood, output = outputs("gaussian-full", (3,), 4)
    with torch.no_grad():
        p = likelihood(output)
        x = p.sample()
        for one, loc, tril, log_prob in zip(x, p.loc, p.scale_tril, p.log_prob(x), strict=True):
            expected = scipy.stats.multivariate_normal(loc.numpy(), (tril @ tril.T).numpy()).logpdf(one.numpy())
            assert log_prob.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("logit", [-1e4, -80.0, -0.2, -0.0999, -1e-3, 0.0, 1e-9, 1e-3, 0.0999, 0.2001, 80.0, 1e4])
def test_continuous_bernoulli_at_every_slope(logit: float) -> None:
    """Against the integral of e^{l x}, where the formulas change branch and where they would overflow."""
    p = likelihoods.ContinuousBernoulli((1,))(torch.full((1,), logit, dtype=torch.float64))
    # log of ∫ e^{l x} = l + log((1 - e^{-l}) / l) for l > 0, by symmetry otherwise.
    size = abs(logit)
    log_integral = math.log(-math.expm1(-size) / size) + max(logit, 0.0) if size > 1e-6 else logit / 2
    for x in (0.0, 0.25, 1.0):
        assert p.log_prob(torch.tensor([x], dtype=torch.float64)).item() == pytest.approx(
            logit * x - log_integral, abs=1e-8 + 1e-12 * size
        )
    drawn = p.sample((1000,))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert p.mean.isfinite().all()
    assert p.variance.isfinite().all()


@pytest.mark.parametrize("logit", [-1e4, -300.0, -90.0, 79.0, 85.0, 1000.0])
def test_variance_of_a_steep_continuous_bernoulli(logit: float) -> None:
    """Far from zero the density is that of an exponential with rate |l|."""
    p = likelihoods.ContinuousBernoulli((1,))(torch.full((1,), logit))
    assert p.variance.item() == pytest.approx(logit**-2, rel=1e-5)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_starting_from_data_that_all_agree_is_finite(name: str, value: float) -> None:
    likelihood = register.likelihood[name]((3,), **({"classes": 4} if name == "categorical" else {}))
    output = likelihood.initialize(torch.full((5, 3), value))
    assert output.shape == likelihood.output
    assert output.isfinite().all()
    assert likelihood(output).log_prob(torch.full((3,), value)).isfinite().all()


# Every objective.


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("prior", PRIORS)
def test_gradients_against_finite_differences(kind: str, posterior: str, prior: str) -> None:
    """Of every parameter, in float64; the loss of dreg is a surrogate, whose gradient is tested on its own."""
    if kind == "dreg" or (kind == "beta-tc" and posterior == "flow"):
        return
    model = model_for(posterior=posterior, prior=prior, activation="tanh", spread=0.1).double()
    for module in model.modules():
        # The networks of a flow bend at zero: smooth them, so that differences are derivatives.
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Tanh())
    objective = build_objective(ObjectiveConfig(kind=kind, n_samples=2))
    x = torch.randn(3, 3, dtype=torch.float64)

    def loss() -> Tensor:
        torch.manual_seed(0)
        return objective(model.trace(x, 2), 1.0).loss.sum()

    model.zero_grad()
    loss().backward()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        slope = 0.0 if parameter.grad is None else (parameter.grad * direction).sum().item()
        values = []
        for step in (1e-5, -1e-5):
            parameter.data.add_(step * direction)
            with torch.no_grad():
                values.append(loss().item())
            parameter.data.sub_(step * direction)
        assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-6)


def combinations() -> Iterator[Any]:
    """Every prior with every posterior, in one layer and in two; most are slow."""
    for latent, prior, posterior in itertools.product([(2,), (2, 3)], PRIORS, POSTERIORS):
        often = (latent, prior, posterior) in (((2,), "normal", "diagonal"), ((2, 3), "mixture", "full"))
        yield pytest.param(latent, prior, posterior, marks=() if often else pytest.mark.slow)


@pytest.mark.parametrize(("latent", "prior", "posterior"), list(combinations()))
def test_every_combination_trains_saves_loads_and_measures_the_same(
    latent: tuple[int, ...], posterior: str, prior: str, tmp_path: Path
) -> None:
    """Ten steps each, with every likelihood (several layers with one) and objective."""
    for likelihood, kind in itertools.product(KINDS if len(latent) == 1 else ["gaussian"], OBJECTIVES):
        if kind == "beta-tc" and posterior == "flow":
            continue
        dataset = data_for(likelihood, (3,))
        model: dict[str, Any] = {
            "posterior": posterior,
            "prior": prior,
            "likelihood": likelihood,
            "hidden": [4],
            "latent": latent,
        }
        model |= {"components": 3} if prior in ("mixture", "vamp") else {}
        config = Config.model_validate(
            {
                "model": model,
                "objective": {"kind": kind, "n_samples": 2},
                "train": {"epochs": 5, "batch_size": 15, "lr": 1e-2},
            }
        )
        run = fit_run(config, tmp_path / f"{likelihood}-{kind}", dataset)
        scores = run.evaluate(dataset, n_importance_samples=3)
        assert all(math.isfinite(score.value) for score in scores)
        assert RunFolder.load(run.folder).evaluate(dataset, n_importance_samples=3) == scores
        assert len(run.epochs) == 5
