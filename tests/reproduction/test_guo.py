"""The recipe of Guo, Liao & Zhou: what it measures, against what is known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig
from aevb.data import Dataset, NormalMixture, load_data, truth
from aevb.evaluation.quadrature import quadrature
from aevb.models.networks import Standardize
from aevb.models.vae import VAE
from aevb.reproduction import recipe
from aevb.reproduction.guo import divergences, measures
from aevb.reproduction.guo.trials import SETS, SETTINGS, SIZES
from aevb.reproduction.quantities import Results
from aevb.reproduction.run import reproduce
from aevb.reproduction.verdicts import Scale, judge
from aevb.runs.run_folder import RunFolder


def normal(mean: list[float], covariance: list[list[float]]) -> NormalMixture:
    return NormalMixture(np.ones(1), np.array([mean]), np.array([covariance]))


def last(module: nn.Module) -> nn.Linear:
    """The layer that gives the mean and the logarithms of the deviations, among others."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]


UNIT = 10.0


def linear(likelihood: str, dataset: Dataset) -> VAE:
    """The model that made set 1: x = D z + e, with the true posterior."""
    chosen = ModelConfig.model_validate({"hidden": [], "likelihood": likelihood, "posterior": "full"})
    model = build(resolve(chosen, dataset), dataset.shape)
    stretch = torch.tensor([3, 1 / 3])
    precision = 1 + stretch.square() / 0.2
    output, head = last(model.decoder), last(model.posterior)
    with torch.no_grad():
        for layer in (output, head):
            layer.weight.zero_()
            layer.bias.zero_()
        output.weight[:2] = stretch.diag()
        output.bias[2:4] = 0.5 * math.log(0.2)  # log σ; of the full covariance, the diagonal of L
        assert isinstance(model.inputs, Standardize)
        model.inputs.spread.fill_(UNIT)  # so that no input is compressed
        head.weight[:2] = UNIT * (stretch / (0.2 * precision)).diag()
        head.bias[2:4] = -precision.log()
    return model.eval()


@pytest.fixture(scope="module")
def gaussian() -> Dataset:
    return load_data("gaussian")


def run_of(model: VAE, dataset: Dataset, folder: Path, source: str = "gaussian") -> RunFolder:
    config = Config.model_validate({"data": {"source": source}})
    return RunFolder.create(folder, config, resolve(ModelConfig(hidden=()), dataset), dataset, model)


@pytest.mark.parametrize("likelihood", ["gaussian-diagonal", "gaussian-full"])
def test_the_true_model_is_at_no_distance(likelihood: str, gaussian: Dataset, tmp_path: Path) -> None:
    run = run_of(linear(likelihood, gaussian), gaussian, tmp_path / "run")
    scores = {score.name: score for score in measures.from_truth(run, gaussian, 300)}
    assert abs(scores["kl_from_truth"].value) < 1e-4
    assert abs(scores["gain_over_gaussian"].value) < 1e-4  # the truth is a normal
    assert scores["log_px_quadrature"].examples == 300
    x = gaussian.test.subsample(300).values.double().numpy()
    np.testing.assert_allclose(measures.log_px(run.model, x)[0], truth("gaussian").log_prob(x), atol=1e-3)


def test_the_true_model_loses_nothing_to_its_posterior(gaussian: Dataset, tmp_path: Path) -> None:
    run = run_of(linear("gaussian-diagonal", gaussian), gaussian, tmp_path / "run")
    assert all(abs(score.value) < 1e-3 for score in measures.gaps(run, gaussian, 10))


@pytest.mark.parametrize("likelihood", ["gaussian-diagonal", "gaussian-full"])
def test_estimators_of_the_bound_agree(likelihood: str, gaussian: Dataset, tmp_path: Path) -> None:
    model = linear(likelihood, gaussian)
    with torch.no_grad():
        last(model.posterior).bias.add_(0.3)  # away from the true posterior, under which nothing is left to chance
    [found] = measures.estimators(run_of(model, gaussian, tmp_path / "run"), gaussian, 100)
    assert found.stderr is not None
    assert 0 < found.stderr < 0.01
    assert abs(found.value) < 4 * found.stderr


def test_the_distance_of_another_normal_is_its_divergence(gaussian: Dataset, tmp_path: Path) -> None:
    """Twice the noise: KL of two normals."""
    model = linear("gaussian-diagonal", gaussian)
    with torch.no_grad():
        last(model.decoder).bias[2:4] += 0.5 * math.log(2)
    run = run_of(model, gaussian, tmp_path / "run")
    scores = {score.name: score for score in measures.from_truth(run, gaussian, 3000)}
    ratio = np.array([9.2, 1 / 9 + 0.2]) / np.array([9.4, 1 / 9 + 0.4])
    found, stderr = scores["kl_from_truth"].value, scores["kl_from_truth"].stderr
    assert stderr is not None
    assert abs(found - 0.5 * (ratio - 1 - np.log(ratio)).sum()) < 5 * stderr
    assert stderr < 0.02


@pytest.mark.parametrize("likelihood", ["gaussian-diagonal", "gaussian-full"])
def test_the_grid_agrees_with_adaptive_cells(likelihood: str) -> None:
    """A lively random decoder, whose posteriors have several peaks."""
    dataset = load_data("blobs")
    chosen = ModelConfig.model_validate({"hidden": [32, 32], "likelihood": likelihood, "init": "lecun"})
    torch.manual_seed(0)
    model = build(resolve(chosen, dataset), dataset.shape).eval()
    with torch.no_grad():
        last(model.decoder).weight[2:] *= 0.1
    examples = dataset.test.subsample(20)
    found, _ = measures.log_px(model, examples.values.double().numpy())
    np.testing.assert_allclose(found, quadrature(model, examples).numpy(), atol=5e-3)


def test_divergence_of_normals_is_the_closed_form() -> None:
    p, q = normal([1, 0], [[2, 0.5], [0.5, 1]]), normal([0, 0], [[1, 0], [0, 3]])
    expected = 0.5 * (2 + 1 / 3 + 1 - 2 + math.log(3 / 1.75))
    assert divergences.divergence(p, q) == pytest.approx(expected, abs=1e-9)
    assert divergences.divergence(p, p) == pytest.approx(0, abs=1e-12)


def test_reverse_fit_of_a_normal_is_that_normal() -> None:
    p = normal([1, -2], [[2, 0.5], [0.5, 1]])
    q = divergences.reverse_fit(p, np.zeros(2))
    np.testing.assert_allclose(q.means, p.means, atol=1e-4)
    np.testing.assert_allclose(q.covariances, p.covariances, atol=1e-3)


def test_forward_fit_covers_and_reverse_fit_picks() -> None:
    """Two normals that hardly meet: KL(q || p) = log 2 on one of them, and the moments are those of both."""
    p = NormalMixture(np.array([0.5, 0.5]), np.array([[-6.0, 0], [6, 0]]), np.stack([np.eye(2)] * 2))
    q = divergences.reverse_fit(p, np.array([4.0, 1.0]))
    np.testing.assert_allclose(q.means, [[6, 0]], atol=1e-3)
    assert divergences.divergence(q, p) == pytest.approx(math.log(2), abs=1e-4)
    forward = p.gaussian()
    np.testing.assert_allclose(forward.covariances[0], np.diag([37, 1]))
    assert divergences.divergence(p, forward) < divergences.divergence(p, q)
    assert divergences.divergence(forward, p) > divergences.divergence(q, p)


def test_the_truths_of_the_table_are_those_of_the_sets() -> None:
    for data in SETS.values():
        source = truth(data.source, data.variant)
        x, _ = source.sample(20_000, np.random.default_rng(1))
        logs = source.log_prob(x)
        assert abs(logs.mean() - data.log_px) < 5 * logs.std() / math.sqrt(len(logs))


@pytest.mark.parametrize("scale", ["smoke", "default", "full"])
def test_every_set_has_every_setting(scale: Scale) -> None:
    made = recipe("guo", scale)
    assert len(made.trials) == len(SIZES[scale].sets) * len(SETTINGS)
    for name, trial in made.trials.items():
        assert trial.config.train.epochs, name
    reported = made.trials["figure-8-diagonal"].config
    assert (reported.train.batch_size, reported.train.lr, reported.train.lr_schedule) == (32, 1e-3, "constant")
    assert len({claim.label for claim in made.claims}) == len(made.claims)


@pytest.mark.slow
def test_smoke(tmp_path: Path) -> None:
    made, results = recipe("guo", "smoke"), Results(tmp_path, range(1))
    assert not reproduce(made, results)
    verdicts = judge(made.claims, results, "smoke")
    assert any(verdict.values for verdict in verdicts)
    assert all(picture.draw(results).axes for picture in made.pictures)
