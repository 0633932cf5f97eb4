"""Estimators of log p(x) against the exact values of linear Gaussian models, and against each other."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, Examples
from aevb.data.examples import evenly_spaced
from aevb.errors import BadInput
from aevb.evaluation import cost, likelihood
from aevb.evaluation import quadrature as quadratures
from aevb.evaluation.annealing import annealed, sandwich
from aevb.evaluation.cost import QUICK, affordable, decoder_operations, operations
from aevb.evaluation.gaps import gaps
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.information import information
from aevb.evaluation.likelihood import best_log_px, corrected_mean
from aevb.evaluation.measures import evaluate
from aevb.evaluation.quadrature import quadrature, quick_quadrature
from aevb.models.vae import VAE
from tests.conftest import Exact, some
from tests.models.test_hierarchy import ladder
from tests.models.test_hierarchy import log_px as log_px_of_ladder

MakeExact = Callable[..., Exact]


def entropy(linear: Exact) -> float:
    """-E log p(x), the entropy of the model's own normal density."""
    covariance = linear.weight @ linear.weight.T + linear.variance * torch.eye(len(linear.bias), dtype=torch.float64)
    return 0.5 * (len(linear.bias) * (math.log(2 * math.pi) + 1) + torch.logdet(covariance).item())


@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize("error", [0.0, 0.7])
@pytest.mark.parametrize("variance", [0.005, 0.5])
def test_quadrature_is_exact(exact: MakeExact, latent: int, error: float, variance: float) -> None:
    """Also where the encoder is wrong by ten standard deviations of the posterior and more."""
    linear = exact(latent=latent, error=error, variance=variance)
    x = linear.sample(60)
    torch.testing.assert_close(quadrature(linear.model, Examples(x)), linear.log_px(x), rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("variance", [0.005, 0.5, 50.0])
def test_quadrature_is_quick_for_narrow_and_broad_posteriors(exact: MakeExact, variance: float) -> None:
    linear = exact(variance=variance)
    found = quick_quadrature(linear.model, Examples(linear.sample(20)))
    assert found is not None
    torch.testing.assert_close(found, linear.log_px(linear.sample(20)), rtol=1e-5, atol=2e-4)


def test_quadrature_is_not_quick_for_many_dimensions_examples_or_cells(
    exact: MakeExact, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = Examples(exact().sample(20))
    assert quick_quadrature(exact(latent=3).model, x) is None
    monkeypatch.setattr(quadratures, "QUICK_CELLS", 10)
    assert quick_quadrature(exact().model, x) is None
    monkeypatch.setattr(quadratures, "MANY", 10)
    monkeypatch.setattr(quadratures, "QUICK_CELLS", 10**9)
    assert quick_quadrature(exact().model, x) is None


def test_an_expensive_decoder_has_fewer_samples(exact: MakeExact, monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear decoder of two latent dimensions and five outputs needs 20 operations for a z."""
    linear, three = exact(), exact(latent=3, error=2.0)
    x = Examples(linear.sample(2000))
    assert decoder_operations(linear.model, x) == 20
    assert affordable(linear.model, x) == QUICK / 100_000
    assert quick_quadrature(linear.model, x[:20]) is not None
    monkeypatch.setattr(cost, "QUICK", 5 * 100_000)  # quadrature of 15 examples
    assert quick_quadrature(linear.model, x[:16]) is None
    assert quick_quadrature(linear.model, x[:15]) is not None
    monkeypatch.setattr(likelihood, "QUICK", 20 * 30 * 1500)
    assert best_log_px(three.model, Examples(three.sample(20)))[1].n_importance_samples == 1500


@pytest.mark.parametrize(
    ("options", "kind", "shape"),
    [
        ({"network": "conv", "latent": 3}, "unit", (1, 9, 8)),
        ({"network": "conv", "activation": "glu", "channels": (4, 6)}, "unit", (3, 8, 8)),
        ({"hidden": (9, 8), "latent": (4, 2), "skip": "on"}, "binary", (9,)),
        ({"block": "residual", "norm": "layer", "prior": "mixture"}, "real", (7,)),
    ],
)
def test_operations_are_those_of_pytorch_s_counter(
    options: dict[str, Any], kind: Literal["unit", "binary", "real"], shape: tuple[int, ...]
) -> None:
    model, x = build(resolve(ModelConfig(**options), some(kind, shape)), shape).eval(), Examples(torch.rand(2, *shape))
    with torch.no_grad():
        counted = operations(lambda: model.decoder_output(model.decoder_input(model.sample_prior(1)), None))
    assert decoder_operations(model, x) == counted > 0
    model.decoder = torch.nn.Sequential(Scaled(), model.decoder)  # whose operations are unknown
    assert decoder_operations(model, x) == counted


class Scaled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        return self.scale * z


def test_a_very_expensive_decoder_has_many_samples_for_few_examples(
    exact: MakeExact, rows: Callable[[Tensor], Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 samples for 50 of 1,000 examples. The mean of the rough estimates is wrong by far more than its error."""
    linear = exact(latent=3, error=0.6)
    monkeypatch.setattr(likelihood, "QUICK", 30 * 50 * 1000)
    monkeypatch.setattr(likelihood, "FEWEST_EXAMPLES", 10)
    x = linear.sample(1000)
    scores = {score.name: score for score in evaluate(linear.model, rows(x))}
    rough, log_px = best_log_px(linear.model, Examples(x))
    exactly, found = linear.log_px(x).mean().item(), scores["log_px"]
    error = (log_px.values - rough.log_px[evenly_spaced(1000, 50)]).std().item() / 50**0.5
    assert found.value == pytest.approx(exactly, abs=3 * error)
    assert rough.log_px.mean().item() < exactly - 3 * error
    assert (found.examples, scores["effective_samples"].examples) == (1000, 50)
    assert found.estimator == "importance sampling, at most K samples of 50 examples, 50 of the others"
    assert scores["bits_per_dimension"].value == pytest.approx(-found.value / (5 * math.log(2)))


@pytest.mark.parametrize("slope", [-1.0, 0.0, 1.0])
def test_the_standard_error_of_a_corrected_mean(slope: float) -> None:
    """Rough values r ~ N(0, 1) and differences 0.5 + slope r + N(0, 1).

    Over 2,000 sets, the variance of the mean is that which is stated, up to 4 √(2 / 2000) = 13 %.
    """
    generator, total, count = torch.Generator().manual_seed(0), 400, 100
    rough = torch.randn(2000, total, generator=generator, dtype=torch.float64)
    near = rough[:, evenly_spaced(total, count)]
    values = near + 0.5 + slope * near + torch.randn(2000, count, generator=generator, dtype=torch.float64)
    found = torch.tensor([corrected_mean(r, v) for r, v in zip(rough, values, strict=True)])
    variance, stated = found[:, 0].var().item(), found[:, 1].square().mean().item()
    assert variance == pytest.approx(stated, rel=0.13)
    assert found[:, 0].mean().item() == pytest.approx(0.5, abs=4 * (variance / 2000) ** 0.5)


def test_quadrature_finds_a_mode_that_the_encoder_misses(exact: MakeExact) -> None:
    """x depends on |z| alone and q covers the positive side: importance sampling finds half of the mass."""

    class Absolute(torch.nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z.abs()

    linear = exact(features=3, latent=1, variance=0.01)
    linear.model.decoder = torch.nn.Sequential(Absolute(), linear.model.decoder)
    z = 1 + torch.rand(40, 1)
    x = linear.model.decode(z).mean.detach()
    exactly = quadrature(linear.model, Examples(x))
    sampled = per_example(linear.model, Examples(x), 200).log_px
    torch.testing.assert_close(
        exactly - sampled, torch.full((40,), math.log(2), dtype=torch.float64), atol=1e-3, rtol=0
    )


def test_quadrature_is_for_few_dimensions(exact: MakeExact) -> None:
    for model, x in ((exact(latent=3).model, torch.randn(4, 5)), (ladder(1, 1).float(), torch.randn(4, 3))):
        with pytest.raises(BadInput, match="one layer of one or two latent dimensions"):
            quadrature(model, Examples(x))


@pytest.mark.slow
def test_annealing_finds_log_px_where_importance_sampling_does_not(exact: MakeExact) -> None:
    """Posterior means off by seven std: 1,000 plain draws miss by nats, and say so by their effective number."""
    linear = exact(error=0.7, variance=0.05)
    x = linear.sample(40)
    plain, found = per_example(linear.model, Examples(x), 1000), annealed(linear.model, Examples(x), temperatures=200)
    exactly = linear.log_px(x)
    assert (exactly - plain.log_px).mean() > 1
    assert plain.effective_sample_size.median() < 10
    assert (exactly - found.log_px).mean().item() == pytest.approx(0.05, abs=0.2)
    assert found.effective_sample_size.median() > 3


def test_annealing_with_the_true_posterior_is_exact(exact: MakeExact) -> None:
    """log w is the same wherever the chain is, so that every step size and every path gives log p(x) itself."""
    linear = exact()
    x = linear.sample(20)
    found = annealed(linear.model, Examples(x), temperatures=5, chains=3)
    torch.testing.assert_close(found.log_px, linear.log_px(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        found.effective_sample_size, torch.full((20,), 3.0, dtype=torch.float64), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("posterior", "temperatures", "off"), [("diagonal", 60, 0.1), ("full", 60, 0.1), ("flow", 200, 0.2)]
)
@pytest.mark.slow
def test_annealing_with_two_layers_agrees_with_quadrature(posterior: str, temperatures: int, off: float) -> None:
    """Means of 30 examples: in 20 seeds they were off by -0.002 with a std of 0.017, of a flow -0.03 and 0.02."""
    model = ladder(1, 1, posterior=posterior, spread=0.15)
    x = torch.randn(30, 3, dtype=torch.float64)
    found = annealed(model.float(), Examples(x.float()), temperatures=temperatures)
    with torch.no_grad():
        exactly = log_px_of_ladder(model.double(), x)
    assert found.log_px.mean().item() == pytest.approx(exactly.mean().item(), abs=off)


@pytest.mark.slow
def test_the_sandwich_holds_log_px(exact: MakeExact) -> None:
    """Both bounds in expectation; with 200 temperatures they are some hundredths of a nat apart, with 2 half a nat."""
    linear = exact(error=0.7, variance=0.05)
    found = sandwich(linear.model, 60, temperatures=200)
    exactly = linear.log_px(found.x)
    below, above = (exactly - found.lower).mean().item(), (found.upper - exactly).mean().item()
    assert -0.05 < below < 0.15
    assert -0.05 < above < 0.15
    loose = sandwich(linear.model, 60, temperatures=2)
    assert (loose.upper - loose.lower).mean() > 0.2


@pytest.mark.slow
def test_annealing_does_not_depend_on_batches_or_order(exact: MakeExact) -> None:
    """To what HMC makes of rounding in ten temperatures."""
    linear = exact(error=0.3)
    x = linear.sample(25)
    turned = torch.randperm(25)
    whole = annealed(linear.model, Examples(x), temperatures=10).log_px
    parts = annealed(linear.model, Examples(x[turned]), temperatures=10, memory=4000).log_px
    torch.testing.assert_close(whole[turned], parts, rtol=1e-3, atol=1e-3)


def estimate(name: str, model: VAE, x: Tensor, seed: int) -> Tensor:
    examples = Examples(x)
    if name == "quadrature":
        return quadrature(model, examples)
    if name == "annealing":
        return annealed(model, examples, temperatures=20, chains=8, seed=seed).log_px
    return per_example(model, examples, 200, seed=seed).log_px


@pytest.mark.slow
@pytest.mark.parametrize("name", ["importance sampling", "annealing", "quadrature"])
def test_estimates_agree_and_standard_errors_are_calibrated(name: str, exact: MakeExact) -> None:
    """200 sets of 100 examples of the model: the 95 % interval covers E log p(x) in 90 to 98 % of them, and the error
    of the estimates themselves is below 3 standard errors in every set. A calibrated interval falls outside 90 to 98 %
    in fewer than 3 % of all seeds."""
    linear = exact(error=0.2)
    expected, covered, worst = -entropy(linear), 0, 0.0
    for seed in range(200):
        x = linear.sample(100, seed)
        values = estimate(name, linear.model, x, seed)
        stderr = values.std().item() / math.sqrt(len(x))
        covered += abs(values.mean().item() - expected) < 1.96 * stderr
        worst = max(worst, abs((values - linear.log_px(x)).mean().item()) / stderr)
    assert 180 <= covered <= 196
    assert worst < 3


def test_gaps_add_up_and_are_what_they_are_called(exact: MakeExact) -> None:
    """The family holds the true posterior, so the approximation gap is zero, and the rest is KL(q || p(z|x))."""
    linear = exact(error=0.7)
    x = linear.sample(50)
    found = gaps(linear.model, Examples(x), n_importance_samples=300)
    assert found.approximation.mean().item() == pytest.approx(0, abs=0.01)
    q = linear.model.encode(x)
    divergence = (0.7**2 / q.variance / 2).sum(1)
    assert found.amortization.mean().item() == pytest.approx(divergence.mean().item(), rel=0.05)
    torch.testing.assert_close(found.log_px, linear.log_px(x), rtol=0, atol=0.02)
    bound = found.log_px - found.approximation - found.amortization
    assert bound.mean().item() == pytest.approx((linear.log_px(x) - divergence).mean().item(), abs=0.1)


def test_the_approximation_gap_of_a_diagonal_posterior(exact: MakeExact) -> None:
    """The best diagonal normal leaves ½ [Σ log Λ_jj - log det Λ], with Λ the precision of the true posterior."""
    linear = exact(features=3)
    output = next(linear.model.decoder.children())
    assert isinstance(output, torch.nn.Linear)
    turn = torch.tensor([[0.8, 0.6], [-0.6, 0.8]])
    with torch.no_grad():
        output.weight.copy_(output.weight @ turn)
    weight = output.weight.detach().double()
    precision = torch.eye(2).double() + weight.T @ weight / linear.variance
    left = 0.5 * (precision.diagonal().log().sum() - precision.logdet()).item()
    assert left > 0.05
    found = gaps(linear.model, Examples(linear.sample(40)), n_importance_samples=300)
    assert found.approximation.mean().item() == pytest.approx(left, abs=0.02)


def test_information_and_marginal_divergence(exact: MakeExact, rows: Callable[[Tensor], Dataset]) -> None:
    """With the true posterior q(z) is the prior, and I(x; z) = ½ log det(I + W Wᵀ / c): within 0.1 of 1.65 nats with
    2,000 examples; in 20 seeds the standard deviation was 0.03."""
    linear = exact()
    data = rows(linear.sample(2000))
    covariance = torch.eye(5).double() + linear.weight @ linear.weight.T / linear.variance
    expected = 0.5 * torch.logdet(covariance).item()
    scores = {score.name: score for score in evaluate(linear.model, data, n_importance_samples=2)}
    assert scores["mutual_information"].value == pytest.approx(expected, abs=0.1)
    assert scores["marginal_kl"].value == pytest.approx(0, abs=0.1)
    total = scores["mutual_information"].value + scores["marginal_kl"].value
    assert total == pytest.approx(scores["rate"].value, abs=1e-9)
    assert scores["mutual_information"].note is None


def test_information_cannot_exceed_the_logarithm_of_the_examples(
    exact: MakeExact, rows: Callable[[Tensor], Dataset]
) -> None:
    linear = exact(variance=1e-6)
    scores = {score.name: score for score in evaluate(linear.model, rows(linear.sample(50)), n_importance_samples=2)}
    assert scores["mutual_information"].value == pytest.approx(math.log(50), abs=1e-3)
    assert "saturated" in str(scores["mutual_information"].note)


def test_information_takes_few_samples_of_many_examples(exact: MakeExact, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same ones in any order."""
    import aevb.evaluation.information as module

    monkeypatch.setattr(module, "PAIRS", 300 * 20)
    monkeypatch.setattr(module, "FEWEST", 1)
    linear = exact()
    x = linear.sample(300)
    turned = torch.randperm(300)
    found, again = information(linear.model, Examples(x)), information(linear.model, Examples(x[turned]))
    assert len(found.mutual) == 20
    assert sorted(turned[again.selected].tolist()) == sorted(found.selected.tolist())
    assert found.mutual.mean().item() == pytest.approx(again.mutual.mean().item(), abs=1e-5)


def test_information_takes_fewer_samples_where_posteriors_have_networks_below_a_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import aevb.evaluation.information as module

    monkeypatch.setattr(module, "FEWEST", 5)
    monkeypatch.setattr(module, "QUICK", 50)
    examples = Examples(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))
    assert len(information(ladder(2, 1), examples).mutual) == 5


def test_collapsed_weights_are_flagged_and_sound_ones_are_not(
    exact: MakeExact, rows: Callable[[Tensor], Dataset]
) -> None:
    for error, flagged in ((0.0, False), (1.5, True)):
        linear = exact(error=error, variance=0.05)
        scores = {
            score.name: score for score in evaluate(linear.model, rows(linear.sample(30)), n_importance_samples=100)
        }
        assert (scores["log_px"].note is not None) == flagged
        assert scores["effective_samples"].value == pytest.approx(1.2 if flagged else 100, rel=0.5)


def test_few_samples_are_not_flagged_as_collapsed(exact: MakeExact, rows: Callable[[Tensor], Dataset]) -> None:
    scores = {score.name: score for score in evaluate(exact().model, rows(exact().sample(30)), n_importance_samples=3)}
    assert scores["effective_samples"].value == pytest.approx(3, abs=1e-2)
    assert scores["log_px"].note is None


def test_annealing_needs_a_posterior_that_maps_noise(exact: MakeExact) -> None:
    class Foreign(torch.nn.Module):
        def forward(self, features: Tensor) -> torch.distributions.Distribution:
            return torch.distributions.Independent(torch.distributions.Normal(features[:, :2], 1.0), 1)

    linear = exact()
    linear.model.posterior = Foreign()
    x = Examples(linear.sample(5))
    assert per_example(linear.model, x, 10).log_px.isfinite().all()
    with pytest.raises(BadInput, match="give its distribution the methods `from_noise` and `to_noise`"):
        annealed(linear.model, x)


def test_bits_and_rates_of_dimensions(exact: MakeExact, rows: Callable[[Tensor], Dataset]) -> None:
    linear = exact()
    scores = {
        score.name: score.value for score in evaluate(linear.model, rows(linear.sample(30)), n_importance_samples=5)
    }
    assert scores["bits_per_dimension"] == pytest.approx(-scores["log_px"] / 5 / np.log(2))
    assert scores["rate_1"] + scores["rate_2"] == pytest.approx(scores["rate"], abs=1e-5)
