"""The estimators against exact values."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import ModelConfig
from aevb.data import Dataset, Examples
from aevb.errors import BadInput
from aevb.evaluation import Score, evaluate
from aevb.evaluation.importance_sampling import FIRST_SAMPLES, chosen_samples, needed_samples, per_example
from aevb.models.likelihoods import Gaussian
from tests.conftest import Exact, some

Rows = Callable[[Tensor], Dataset]


def named(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_importance_sampling_is_exact_with_the_true_posterior(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    x = linear.sample(50)
    scores = named(evaluate(linear.model, rows(x), n_importance_samples=3))
    log_px = linear.log_px(x)
    assert scores["log_px"].value == pytest.approx(log_px.mean().item(), abs=1e-4)
    assert scores["log_px"].stderr == pytest.approx(log_px.std().item() / math.sqrt(50), rel=1e-3)


@pytest.mark.parametrize("features", [3, 20])
def test_importance_sampling_finds_log_px_from_a_wrong_posterior(
    exact: Callable[..., Exact], rows: Rows, features: int
) -> None:
    """The mean over 200 examples, posterior means off by 0.3, within 0.02 nats: measured over 40 seeds, the estimate
    with 2,000 draws has standard deviation 0.0025 and bias 0.0005, so that fewer than one seed in 10^13 fails."""
    linear = exact(features, error=0.3)
    x = linear.sample(200)
    seed = int(torch.randint(2**31, ()).item())
    scores = named(evaluate(linear.model, rows(x), n_importance_samples=2000, seed=seed))
    assert scores["log_px"].value == pytest.approx(linear.log_px(x).mean().item(), abs=0.02)
    assert scores["bound"].value < scores["log_px"].value - 0.05


def test_the_estimate_is_above_the_bound_and_grows_with_samples(exact: Callable[..., Exact], rows: Rows) -> None:
    """Both hold in expectation; here the gap, about 2 nats, is some hundred times the noise."""
    linear = exact(error=1.0)
    data = rows(linear.sample(200))
    estimates = []
    for samples in (2, 10, 100, 1000):
        scores = named(evaluate(linear.model, data, n_importance_samples=samples))
        assert scores["bound"].value <= scores["log_px"].value
        estimates.append(scores["log_px"].value)
    assert estimates == sorted(estimates)
    assert estimates[-1] < linear.log_px(data.test.values).mean().item() + 0.05


def test_rate_and_distortion_make_the_bound(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    scores = named(evaluate(linear.model, rows(linear.sample(30)), n_importance_samples=10))
    assert scores["bound"].value == pytest.approx(-(scores["rate"].value + scores["distortion"].value), abs=1e-9)
    assert isinstance(linear.model.likelihood, Gaussian)
    assert scores["loss_without_constant"].value == pytest.approx(
        -scores["bound"].value - 2.5 * math.log(2 * math.pi * 0.5), abs=1e-5
    )


@pytest.mark.parametrize("latent", [(2,), (2, 3)])
@pytest.mark.parametrize(
    "posterior", ["diagonal", *(pytest.param(name, marks=pytest.mark.slow) for name in ("full", "flow"))]
)
def test_no_score_depends_on_batches_or_on_the_order_of_the_data(
    latent: tuple[int, ...], posterior: str, rows: Rows
) -> None:
    """With equal examples among them, and a last part that is not full: equal to rounding."""
    config = ModelConfig.model_validate({"hidden": (8,), "latent": latent, "posterior": posterior})
    model = build(resolve(config, some("real", (3,))), (3,))
    x = torch.randn(53, 3)
    x[20:30] = x[40:50]
    data, turned = rows(x), rows(x[torch.randperm(len(x))])
    settings = [(data, 2**30), (data, 3000), (turned, 2**30), (turned, 20_000)]
    scores, *others = (
        named(evaluate(model, part, n_importance_samples=30, memory=memory)) for part, memory in settings
    )
    for other in others:
        for name, score in scores.items():
            assert other[name].value == pytest.approx(score.value, rel=1e-4, abs=1e-5), name
            assert other[name].stderr == (score.stderr and pytest.approx(score.stderr, rel=1e-4, abs=1e-5)), name


@pytest.mark.parametrize(
    "memory", [*(pytest.param(memory, marks=pytest.mark.slow) for memory in (1, 10_000)), 10_000_000]
)
@pytest.mark.parametrize("network", [pytest.param("mlp", marks=pytest.mark.slow), "conv"])
def test_memory_is_bounded(memory: int, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer's output is larger than an eighth of the memory, or of one decoded point where even that is more; and
    every draw of every example is made."""
    dataset = some("binary", (1, 8, 8), count=130)
    options = {"mlp": ModelConfig(hidden=(200,)), "conv": ModelConfig(network="conv", channels=(5, 6))}
    model = build(resolve(options[network], dataset), (1, 8, 8))
    sizes, decoded, decode = [0], [0], model._decoder_output

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        sizes.append(4 * output.numel() if isinstance(output, Tensor) else 0)

    def counted(z: Tensor, context: Tensor | None) -> Tensor:
        decoded.append(z.numel() // z.shape[-1])
        return decode(z, context)

    for module in model.modules():
        module.register_forward_hook(note)
    monkeypatch.setattr(model, "_decoder_output", counted)
    evaluate(model, dataset, n_importance_samples=50, memory=memory)
    one = 4 * {"mlp": 200, "conv": 5 * 8 * 8}[network]
    assert max(sizes) <= max(memory / 8, one)
    # Beside the draws and the reconstructions, one example is passed a few times to learn how large it gets.
    assert 130 * 51 < sum(decoded) <= 130 * 51 + 4


def test_one_example_has_no_standard_error(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    scores = named(evaluate(linear.model, rows(linear.sample(1)), n_importance_samples=2))
    assert scores["bound"].stderr is None
    assert "active_units" not in scores


def test_an_impossible_example_is_named(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    x = linear.sample(20)
    x[7, 0] = 1e30
    with pytest.raises(BadInput, match=r"of example 7 of the test part of rows is not finite"):
        evaluate(linear.model, rows(x), n_importance_samples=2)


def test_active_units_are_counted(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact(latent=3)
    data = rows(linear.sample(500))
    assert named(evaluate(linear.model, data, n_importance_samples=2))["active_units"].value == 3
    with torch.no_grad():
        next(linear.model.posterior.parameters())[1].zero_()
    assert named(evaluate(linear.model, data, n_importance_samples=2))["active_units"].value == 2


def test_a_score_says_what_it_is(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    data = replace(rows(linear.sample(20)), binarize="threshold")
    scores = named(evaluate(linear.model, data, "valid", n_importance_samples=7))
    assert list(scores) == [
        *("distortion", "rate", "bound", "loss_without_constant", "log_px", "bits_per_dimension", "effective_samples"),
        *(
            "unreliable_weights",
            "mutual_information",
            "marginal_kl",
            "active_units",
            "rate_1",
            "rate_2",
            "squared_error",
        ),
    ]
    assert {score.split for score in scores.values()} == {"valid"}
    assert {score.binarization for score in scores.values()} == {"threshold"}
    assert [scores[name].n_importance_samples for name in ("bound", "rate", "log_px", "active_units")] == [
        7,
        None,
        7,
        None,
    ]
    assert scores["log_px"].estimator == "importance sampling"
    assert all((score.stderr is None) == (score.name == "active_units") for score in scores.values())


def test_two_latent_dimensions_are_integrated(exact: Callable[..., Exact], rows: Rows) -> None:
    """Also where the encoder is wrong, which quadrature does not notice."""
    linear = exact(error=1.0)
    x = linear.sample(100)
    scores = named(evaluate(linear.model, rows(x)))
    assert scores["log_px"].value == pytest.approx(linear.log_px(x).mean().item(), abs=1e-4)
    assert (scores["log_px"].estimator, scores["log_px"].n_importance_samples) == ("quadrature over z", None)
    assert scores["log_px"].note is None
    assert "unreliable_weights" not in scores
    assert scores["bound"].n_importance_samples == FIRST_SAMPLES


def test_the_number_of_samples_follows_the_standard_error(exact: Callable[..., Exact]) -> None:
    """Over 60 seeds, log p(x) of an example varies by at most 0.13 nats, `STDERR` with room for the choice of K, which
    rests on 100 samples; the mean over 200 examples is right to 0.02."""
    linear = exact(latent=3, error=0.3)
    x = linear.sample(200)
    measured = [chosen_samples(linear.model, Examples(x), 10_000, seed=seed)[1] for seed in range(60)]
    log_px = torch.stack([found.log_px for found in measured])
    assert log_px.std(0).square().mean().sqrt().item() < 0.13
    assert log_px.mean().item() == pytest.approx(linear.log_px(x).mean().item(), abs=0.02)
    counts = torch.stack([found.n_samples for found in measured])
    assert counts.min() == FIRST_SAMPLES
    assert counts.unique().numel() > 2


def test_needed_samples_are_those_of_the_standard_error(exact: Callable[..., Exact]) -> None:
    linear = exact(latent=3)
    first = per_example(linear.model, Examples(linear.sample(5)), 100)
    sizes = torch.tensor([100.0, 50.0, 49.0, 20.0, 10.0], dtype=torch.float64)
    tails = torch.tensor([0.1, 0.4, 0.2, 0.1, 0.9], dtype=torch.float64)
    first = first._replace(effective_sample_size=sizes, tail_index=tails)
    assert needed_samples(first, 5000).tolist() == [100, 100, 200, 400, 1600]
    assert needed_samples(first, 300).tolist() == [100, 100, 200, 300, 300]


def test_the_choice_of_samples_does_not_depend_on_the_order(exact: Callable[..., Exact]) -> None:
    linear = exact(latent=3, error=0.6)
    x, order = linear.sample(60), torch.randperm(60)
    (first, second), (_, turned) = (chosen_samples(linear.model, Examples(y), 2000) for y in (x, x[order]))
    torch.testing.assert_close(turned.log_px, second.log_px[order])
    assert not torch.equal(first.log_px, second.log_px)


def test_annealing_stands_beside_an_underestimate(exact: Callable[..., Exact], rows: Rows) -> None:
    """The encoder is off by ten standard deviations of the posterior: annealing finds what is missing."""
    linear = exact(latent=3, variance=0.05, error=2.0)
    x = linear.sample(40)
    scores = named(evaluate(linear.model, rows(x)))
    assert scores["unreliable_weights"].value > 0.9
    assert str(scores["log_px"].note).startswith("underestimate")
    missing = linear.log_px(x).mean().item() - scores["log_px"].value
    assert missing > 1
    assert scores["annealing_gain"].examples == 32
    assert scores["annealing_gain"].value == pytest.approx(missing, abs=0.3 * missing)


def test_one_sample_gives_no_estimate_of_log_px(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    assert "log_px" not in named(evaluate(linear.model, rows(linear.sample(20)), n_importance_samples=1))


@pytest.mark.slow
def test_standard_error_is_that_of_the_mean(exact: Callable[..., Exact], rows: Rows) -> None:
    """Over 200 fresh sets of 100 examples, the std of the means is the standard error reported, within 25 %: the
    relative error of such a standard deviation is 5 %, so false alarms are below 1e-5 for any seed."""
    linear = exact()
    scores = [
        named(evaluate(linear.model, rows(linear.sample(100, seed)), n_importance_samples=2)) for seed in range(200)
    ]
    means = torch.tensor([score["log_px"].value for score in scores])
    errors = torch.tensor([score["log_px"].stderr for score in scores])
    assert means.std().item() == pytest.approx(errors.mean().item(), rel=0.25)


def test_evaluation_is_repeatable_and_leaves_the_global_generator(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact(error=0.3)
    data = rows(linear.sample(20))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = evaluate(linear.model, data, n_importance_samples=10, seed=1)
    torch.testing.assert_close(torch.rand(3), expected)
    assert first == evaluate(linear.model, data, n_importance_samples=10, seed=1)
    assert first != evaluate(linear.model, data, n_importance_samples=10, seed=2)
