"""Several stochastic layers: against quadrature, in expectation, and in what one layer does not show."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.errors import BadInput
from aevb.evaluation import evaluate
from aevb.models.distributions import Normal, StandardNormal, closed_form_kl
from aevb.models.objectives import ELBO, IWAE, BetaTC, DReG, MonteCarloELBO, Objective, Weight
from aevb.models.posteriors import ScaledPosterior
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from tests.conftest import some


def ladder(*latent: int, spread: float = 0.3, seed: int = 0, **options: Any) -> VAE:
    """A small model of several layers whose parameters are all away from where they start, in float64."""
    dataset = some("real", (3,))
    config = ModelConfig.model_validate({"hidden": (4,), "latent": latent, "latent_hidden": (4,)} | options)
    with seeded(seed, RNGStream.WEIGHTS):
        model = build(resolve(config, dataset), (3,))
        model.initialize(dataset.train.all().x)
        for parameter in model.parameters():
            parameter.data.add_(spread * torch.randn_like(parameter))
    return model.double().eval()


def log_px(model: VAE, x: Tensor) -> Tensor:
    """log ∫∫ p(z₂) p(z₁|z₂) p(x|z₁) by the rectangle rule over the plane, ``(B,)``; or with p(x|z₁, z₂)."""
    step = 0.04
    ticks = torch.arange(-12, 12, step, dtype=torch.float64).unsqueeze(-1)
    z = torch.cartesian_prod(*[ticks.squeeze(-1)] * 2).view(len(ticks), len(ticks), 2) if model.skip else ticks
    likelihood = torch.stack([model.decode(z).log_prob(one) for one in x])
    conditional = torch.stack([model.lower_layers[0].prior(z.expand(len(ticks), 1)).log_prob(ticks) for z in ticks])
    prior = StandardNormal(torch.zeros(1, dtype=torch.float64)).log_prob(ticks)
    joint = prior[:, None] + conditional + (likelihood if model.skip else likelihood[:, None])
    return joint.flatten(1).logsumexp(1) + 2 * math.log(step)


@pytest.mark.parametrize("skip", ["off", "on"])
def test_estimates_agree_with_quadrature_and_bounds_lie_below(skip: str) -> None:
    """Per example, within 5 standard errors of 20,000 draws: false alarm below 1e-5.

    The posteriors are widened, so that no weight is large: the error of an average of unbounded weights is not normal.
    In 240 examples of 60 seeds the largest weight was 40 times the mean, and the errors were standard normal.
    """
    model, x = ladder(1, 1, skip=skip), torch.randn(4, 3, dtype=torch.float64)
    with torch.no_grad():
        for posterior in (model.posterior, model.lower_layers[0].posterior):
            assert isinstance(posterior, ScaledPosterior)
            posterior.head.bias[1] += 3  # the log-variance
        exact, trace = log_px(model, x), model.trace(x, 20_000)
        estimate = trace.log_weight.logsumexp(0) - math.log(20_000)
        error = (trace.log_weight - estimate).exp().std(0) / math.sqrt(20_000)
        assert ((estimate - exact).abs() < 5 * error + 1e-4).all()
        assert (ELBO(20_000)(trace).bound < exact).all()


def test_evaluation_agrees_with_quadrature() -> None:
    """Means over 30 examples: with 2,000 draws the error was 0.008 nats in 20 seeds, so it is a third of that here."""
    model, dataset = ladder(1, 1, spread=0.1).float(), some("real", (3,))
    scores = {score.name: score for score in evaluate(model, dataset, n_importance_samples=20_000)}
    with torch.no_grad():
        exact = log_px(model.double(), dataset.test.values.double()).mean().item()
    assert scores["log_px"].value == pytest.approx(exact, abs=0.03)
    assert scores["bound"].value < exact


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_both_estimators_of_the_bound_agree(posterior: str) -> None:
    """Within 5 standard errors of 50,000 draws, for 3 examples and three layers: false alarm below 1e-5."""
    model, x = ladder(2, 3, 2, posterior=posterior), torch.randn(3, 3, dtype=torch.float64)
    with torch.no_grad():
        trace = model.trace(x, 50_000)
    assert trace.divergence is not None
    difference = trace.divergence - (trace.log_posterior - trace.log_prior)
    assert (difference.mean(0).abs() < 5 * difference.std(0) / math.sqrt(50_000)).all()


@pytest.mark.parametrize("skip", ["off", "on"])
def test_shapes_of_every_layer(skip: str) -> None:
    model = ladder(2, 3, 4, skip=skip)
    for samples, batch in ((1, 1), (1, 4), (3, 1), (5, 2)):
        x = torch.randn(batch, 3, dtype=torch.float64)
        trace = model.trace(x, samples)
        assert [layer.z.shape for layer in trace.layers] == [(samples, batch, width) for width in (4, 3, 2)]
        assert trace.z.shape == (samples, batch, 9 if skip == "on" else 2)
        torch.testing.assert_close(
            model.log_joint(x, [layer.z for layer in trace.layers]), trace.log_weight + trace.log_posterior
        )
        assert trace.log_prior.shape == trace.log_posterior.shape == trace.log_weight.shape == (samples, batch)
        assert trace.rate.shape == (batch,)
        assert [code.shape for code in model.latent_means(x)] == [layer.z.shape[1:] for layer in trace.layers]
        assert model.encode(x).mean.shape == (batch, 4)
        assert model.sample(7).shape == model.sample(7, draw=True).shape == (7, 3)
        torch.testing.assert_close(model.interpolate(x, x.flip(0), 3)[0], model.reconstruct(x))
        for objective in (ELBO(1, free_bits=0.1), MonteCarloELBO(), IWAE(), BetaTC(1, Weight(2.0))):
            assert all(term.shape == (batch,) for term in objective(trace))


def test_the_joint_density_needs_a_point_of_every_layer() -> None:
    """Layers of one width would otherwise be mistaken for one another."""
    model, x = ladder(2, 2, 2), torch.randn(3, 3, dtype=torch.float64)
    z = [layer.z for layer in model.trace(x).layers]
    for points in (z[0], z[:2], [*z, z[2]]):
        with pytest.raises(BadInput, match=r"number of layers of z: got [124], expected 3; pass one tensor"):
            model.log_joint(x, points)


def gradients(model: VAE, objective: Objective, x: Tensor) -> Tensor:
    model.zero_grad()
    objective(model.trace(x, objective.n_samples)).loss.mean().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("skip", ["off", "on"])
@pytest.mark.parametrize(
    "objective", [ELBO(2), ELBO(2, free_bits=0.05), MonteCarloELBO(2), IWAE(3), BetaTC(2, Weight(3.0))]
)
def test_gradients_against_finite_differences(objective: Objective, skip: str) -> None:
    model, x = ladder(2, 2, activation="tanh", skip=skip), torch.randn(3, 3, dtype=torch.float64)

    def loss() -> Tensor:
        torch.manual_seed(0)
        return objective(model.trace(x, objective.n_samples)).loss.sum()

    model.zero_grad()
    loss().backward()
    for parameter in model.parameters():
        direction = torch.randn_like(parameter)
        slope = 0.0 if parameter.grad is None else (parameter.grad * direction).sum().item()
        values = []
        for step in (1e-5, -2e-5, 1e-5):
            parameter.data.add_(step * direction)
            with torch.no_grad():
                values.append(loss().item())
        assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("skip", ["off", "on"])
def test_doubly_reparameterized_gradient_is_that_of_iwae_through_every_layer(skip: str) -> None:
    """Means over 300 batches within 5 standard errors, for 200 parameters: false alarm below 2e-4 for any seed."""
    model, x = ladder(2, 2, activation="tanh", skip=skip), torch.randn(4, 3, dtype=torch.float64).repeat(50, 1)
    runs = [torch.stack([gradients(model, objective, x) for _ in range(300)]) for objective in (IWAE(4), DReG(4))]
    error = (runs[0].var(0) + runs[1].var(0)).div(300).sqrt()
    assert ((runs[0].mean(0) - runs[1].mean(0)).abs() < 5 * error + 1e-9).all()


def test_total_correlation_of_the_layer_below_is_zero_where_it_repeats_its_prior() -> None:
    """A lower posterior that does not see x is the same for every example of the batch: q(z₁) is a diagonal normal."""
    model = ladder(2, 1)
    posterior = model.lower_layers[0].posterior
    with torch.no_grad():
        posterior.head.weight.zero_()  # type: ignore[union-attr,operator]
        trace = model.trace(torch.randn(50, 3, dtype=torch.float64), 2)
    terms = BetaTC(2, Weight(5.0))(trace)
    torch.testing.assert_close(terms.loss, -terms.bound)


def test_divergence_of_a_full_normal_from_any_diagonal_one() -> None:
    """Against PyTorch's own."""
    q = ladder(3, 3, posterior="full").trace(torch.randn(5, 3, dtype=torch.float64), 2).layers[1].q
    p = Normal(torch.randn(2, 5, 3, dtype=torch.float64), 0.3 * torch.randn(2, 5, 3, dtype=torch.float64))
    known = torch.distributions.kl_divergence(
        torch.distributions.MultivariateNormal(q.mean, scale_tril=q.scale_tril),  # type: ignore[attr-defined]
        torch.distributions.MultivariateNormal(p.mean, scale_tril=p.stddev.diag_embed()),
    )
    torch.testing.assert_close(closed_form_kl(q, p), known)


def test_skip_connections_of_one_layer_are_refused() -> None:
    with pytest.raises(BadInput, match="skip"):
        ladder(2, skip="on", latent_hidden=None)


@pytest.mark.parametrize("skip", ["off", pytest.param("on", marks=pytest.mark.slow)])
def test_the_command_trains_a_hierarchical_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skip: str) -> None:
    from aevb.cli import app as cli
    from aevb.runs.run_folder import RunFolder
    from aevb.runs.summary import numbers

    monkeypatch.chdir(tmp_path)
    model = "--model.latent 4,2 --model.hidden 16 --model.latent-hidden 8 --model.skip " + skip
    options = f"{model} --train.epochs 2 --n-importance-samples 3 --out run"
    for command in (
        f"train digits {options}",
        "evaluate run --n-importance-samples 4",
        "sample run",
        "reconstruct run",
        *(["explore run --no-open", "export run"] if skip == "on" else []),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code, command
    run = RunFolder.load("run")
    units = {score.name: score.value for score in run.scores if score.split == "test" and "units" in score.name}
    assert units["active_units"] == units["active_units_1"] + units["active_units_2"]
    assert f"({units['active_units_1']:.0f} of 4, {units['active_units_2']:.0f} of 2)" in str(numbers(run))
    assert [layer.z.shape[-1] for layer in run.model.trace(torch.rand(2, 1, 8, 8)).layers] == [2, 4]
    assert {path.stem for path in Path("run/figures").iterdir()} == {"training", "reconstructions", "samples"}
