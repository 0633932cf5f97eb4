"""The estimators against exact values."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aevb.data import Dataset
from aevb.evaluation import Score, evaluate
from aevb.likelihoods import Gaussian
from tests.conftest import Exact

Rows = Callable[[Tensor], Dataset]


def named(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_importance_sampling_is_exact_with_the_true_posterior(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    x = linear.sample(50)
    scores = named(evaluate(linear.model, rows(x), samples=3))
    log_px = linear.log_px(x)
    assert scores["log_px"].value == pytest.approx(log_px.mean().item(), abs=1e-4)
    assert scores["log_px"].stderr == pytest.approx(log_px.std().item() / math.sqrt(50), rel=1e-3)


@pytest.mark.parametrize("features", [3, 20])
def test_importance_sampling_finds_log_px_from_a_wrong_posterior(
    exact: Callable[..., Exact], rows: Rows, features: int
) -> None:
    """The mean over 200 examples, posterior means off by 0.3: bias and noise of 2,000 draws are both below 0.01 nats,
    many standard errors (0.0008 here), so that no seed fails."""
    linear = exact(features, error=0.3)
    x = linear.sample(200)
    seed = int(torch.randint(2**31, ()).item())
    scores = named(evaluate(linear.model, rows(x), samples=2000, seed=seed))
    assert scores["log_px"].value == pytest.approx(linear.log_px(x).mean().item(), abs=0.01)
    assert scores["bound"].value < scores["log_px"].value - 0.05


def test_bound_below_estimate_and_estimate_grows_with_draws(exact: Callable[..., Exact], rows: Rows) -> None:
    """bound <= log p(x) estimate holds for the same draws, always; in K it holds in expectation."""
    linear = exact(error=1.0)
    data = rows(linear.sample(200))
    estimates = []
    for samples in (2, 10, 100, 1000):
        scores = named(evaluate(linear.model, data, samples=samples))
        assert scores["bound"].value <= scores["log_px"].value
        estimates.append(scores["log_px"].value)
    assert estimates == sorted(estimates)
    assert estimates[-1] < linear.log_px(data.test.values).mean().item() + 0.05


def test_rate_and_distortion_make_the_bound(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    scores = named(evaluate(linear.model, rows(linear.sample(30)), samples=10))
    assert scores["bound"].value == pytest.approx(-(scores["rate"].value + scores["distortion"].value), abs=1e-9)
    assert isinstance(linear.model.likelihood, Gaussian)
    assert scores["loss_without_constant"].value == pytest.approx(
        -scores["bound"].value - 2.5 * math.log(2 * math.pi * 0.5), abs=1e-5
    )


def test_blocks_and_batches_do_not_change_what_is_measured(exact: Callable[..., Exact], rows: Rows) -> None:
    """The noise differs between block sizes, the expectation does not: 0.02 nats are over 10 standard errors."""
    linear = exact(error=0.3)
    data = rows(linear.sample(130))
    small, large = (named(evaluate(linear.model, data, samples=500, memory=memory)) for memory in (1, 2**30))
    for name in small:
        assert small[name].value == pytest.approx(large[name].value, abs=0.02), name


def test_memory_is_bounded(exact: Callable[..., Exact], rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    linear, blocks = exact(), []
    trace = linear.model.trace
    monkeypatch.setattr(linear.model, "trace", lambda x, s=1: blocks.append(s * x.numel()) or trace(x, s))  # type: ignore[func-returns-value]
    evaluate(linear.model, rows(linear.sample(100)), samples=1000, memory=6 * 4 * 5000)
    assert max(blocks) <= 5000
    assert sum(blocks) == 5 * (100 * 1000 + 1)


def test_active_units_are_counted(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact(latent=3)
    data = rows(linear.sample(500))
    assert named(evaluate(linear.model, data, samples=2))["active_units"].value == 3
    with torch.no_grad():
        next(linear.model.posterior.parameters())[1].zero_()
    assert named(evaluate(linear.model, data, samples=2))["active_units"].value == 2


def test_a_score_says_what_it_is(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    data = replace(rows(linear.sample(20)), binarize="threshold")
    scores = named(evaluate(linear.model, data, "valid", samples=7))
    assert list(scores) == ["bound", "rate", "distortion", "loss_without_constant", "log_px", "active_units"]
    assert {score.split for score in scores.values()} == {"valid"}
    assert {score.binarization for score in scores.values()} == {"threshold"}
    assert [scores[name].samples for name in ("bound", "rate", "log_px", "active_units")] == [7, None, 7, None]
    assert scores["log_px"].estimator == "importance sampling"
    assert all((score.stderr is None) == (score.name == "active_units") for score in scores.values())


def test_one_draw_gives_no_estimate_of_log_px(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact()
    assert "log_px" not in named(evaluate(linear.model, rows(linear.sample(20)), samples=1))


def test_standard_error_is_that_of_the_mean(exact: Callable[..., Exact], rows: Rows) -> None:
    """Over 200 fresh sets of 100 examples, the deviation of the means is the standard error reported, within 25 %: the
    relative error of such a deviation is 5 %, so false alarms are below 1e-5 for any seed."""
    linear = exact()
    scores = [named(evaluate(linear.model, rows(linear.sample(100, seed)), samples=2)) for seed in range(200)]
    means = torch.tensor([score["log_px"].value for score in scores])
    errors = torch.tensor([score["log_px"].stderr for score in scores])
    assert means.std().item() == pytest.approx(errors.mean().item(), rel=0.25)


def test_evaluation_is_repeatable_and_leaves_the_global_generator(exact: Callable[..., Exact], rows: Rows) -> None:
    linear = exact(error=0.3)
    data = rows(linear.sample(20))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = evaluate(linear.model, data, samples=10, seed=1)
    torch.testing.assert_close(torch.rand(3), expected)
    assert first == evaluate(linear.model, data, samples=10, seed=1)
    assert first != evaluate(linear.model, data, samples=10, seed=2)
