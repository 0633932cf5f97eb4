"""The autoencoder as a VAE whose posterior is a point, beside what scikit-learn's models reach."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import scipy.stats
import torch
from sklearn.mixture import GaussianMixture

import aevb
from aevb import plots
from aevb.cli import app as cli
from aevb.config.schema import Config, TrainConfig
from aevb.data import Dataset, load_data
from aevb.errors import BadInput
from aevb.evaluation import Score, baselines, evaluate
from aevb.evaluation.diagnosis.simple_models import simple_models
from aevb.models.distributions import Normal, Point, closed_form_kl
from aevb.models.linear import linear_optimum, linear_vae
from aevb.models.objectives import ELBO, Weight
from aevb.models.posteriors import PointPosterior
from aevb.runs.run_folder import RunFolder
from aevb.training.fit import fit
from aevb.training.state import TrainingState
from aevb.workflow.fitting import fit_run
from tests.conftest import some

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does

POINT = {"posterior": "point", "hidden": []}


def autoencoder(folder: Path, dataset: Dataset, epochs: int = 3, **model: object) -> RunFolder:
    train = {"epochs": epochs, "batch_size": 100, "lr": 1e-2, "lr_decay": 0.7}
    return fit_run(Config.model_validate({"model": POINT | model, "train": train}), folder, dataset)


def value(scores: list[Score], name: str) -> float:
    return next(score.value for score in scores if score.name == name)


@pytest.fixture
def cloud(rows: Callable[[torch.Tensor], Dataset]) -> Dataset:
    """Two directions of much variance among six columns, around a mean far from zero."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(1000, 6)) + 5
    return rows(torch.from_numpy(x).float())


@pytest.mark.slow
def test_a_linear_autoencoder_finds_the_principal_subspace(tmp_path: Path, cloud: Dataset) -> None:
    """Largest angle between the subspaces below one degree, and the same squared error (Baldi & Hornik 1989)."""
    run = autoencoder(tmp_path / "run", cloud, epochs=200, latent=2)
    pca = baselines.pca(cloud, 2)
    with torch.no_grad():
        corners = run.model.decode(torch.cat([torch.zeros(1, 2), torch.eye(2)])).mean.double().numpy()
    angles = scipy.linalg.subspace_angles((corners[1:] - corners[0]).T, pca.components_.T)
    assert np.degrees(angles).max() < 1
    reached, expected = (
        value(scores, "squared_error") for scores in (evaluate(run.model, cloud), baselines.measure(pca, cloud))
    )
    assert reached == pytest.approx(expected, rel=2e-3)


def test_an_autoencoder_has_no_bound_and_says_so(tmp_path: Path, cloud: Dataset) -> None:
    run = autoencoder(tmp_path / "run", cloud)
    assert {score.name for score in run.evaluate(cloud, n_importance_samples=3)} == {"distortion", "squared_error"}
    loaded = RunFolder.load(run.folder)
    assert loaded.epochs == run.epochs
    assert loaded.epochs[-1].train.bound == -math.inf
    assert loaded.evaluate(cloud, n_importance_samples=3) == run.scores
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line, parse_constant=pytest.fail)["valid"]["bound"] is None for line in lines)
    assert [axis.get_title() for axis in plots.training(run.epochs).axes] == ["distortion"]
    assert run.outcome is not None
    losses = [epoch.valid.loss for epoch in run.epochs if epoch.valid]
    assert run.outcome.kept == 1 + int(np.argmin(losses))


def test_an_autoencoder_of_several_layers(tmp_path: Path, cloud: Dataset) -> None:
    run = autoencoder(tmp_path / "run", cloud, latent=[2, 1], latent_hidden=[4])
    assert {score.name for score in run.evaluate(cloud, n_importance_samples=3)} == {"distortion", "squared_error"}


def test_an_autoencoder_has_checkpoints_within_an_epoch(cloud: Dataset) -> None:
    """Its rate is infinite, and its loss is not."""
    model, states = linear_vae(cloud.shape[0], 1), list[TrainingState]()
    model.posterior = PointPosterior(cloud.shape[0], 1)
    config = TrainConfig(epochs=1, batch_size=len(cloud.train) // 3)
    fit(model, ELBO(weight=Weight(0.0)), cloud.train, None, config, checkpoint_due=lambda: True, on_state=states.append)
    assert [(state.number, state.step) for state in states] == [(0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"objective": {"beta": 2.0}}, "--objective.beta has no meaning for an autoencoder"),
        ({"objective": {"kind": "iwae"}}, "--objective.kind has no meaning for an autoencoder"),
        ({"objective": {"free_bits": 1.0}}, "--objective.free-bits has no meaning for an autoencoder"),
        ({"model": POINT | {"prior": "vamp"}}, "--model.prior vamp has no meaning for an autoencoder"),
    ],
)
def test_what_an_autoencoder_does_not_have_is_refused(
    sections: dict[str, object], message: str, tmp_path: Path, cloud: Dataset
) -> None:
    config = Config.model_validate({"model": POINT} | sections)
    with pytest.raises(BadInput, match=message):
        fit_run(config, tmp_path / "run", cloud)
    assert not (tmp_path / "run").exists()


def test_what_needs_a_density_is_refused_by_an_autoencoder(tmp_path: Path) -> None:
    """Scores, imputations and explanations of the rows of a table."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[::5, 0] = np.nan
    run = aevb.train(x, posterior="point", hidden=(4,), epochs=1, report=False, out=tmp_path / "run")
    for command in (run.score, run.impute, run.explain):
        with pytest.raises(BadInput, match="needs a posterior with a density: an autoencoder has none"):
            command(x)


def test_a_point_is_a_distribution() -> None:
    point = Point(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    z = point.sample((3,))
    assert z.shape == (3, 2, 2)
    assert (point.log_prob(z) == math.inf).all()
    assert (point.log_prob(z + 1) == -math.inf).all()
    known = closed_form_kl(point, Normal(torch.zeros(2, 2), torch.zeros(2)))
    assert known is not None
    assert (known == math.inf).all()
    assert known.shape == (2,)


def test_baselines_measure_exact_densities(cloud: Dataset) -> None:
    x = cloud.test.values.double().numpy()
    pca = baselines.measure(baselines.pca(cloud, 2), cloud)
    assert value(pca, "log_px") == pytest.approx(linear_optimum(cloud.train.values, 2), abs=1e-2)
    mixture = baselines.mixture(cloud, 1)
    assert isinstance(mixture, GaussianMixture)
    normal = scipy.stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True))
    assert value(baselines.measure(mixture, cloud), "log_px") == pytest.approx(normal.logpdf(x).mean(), abs=1e-3)


def test_numbers_that_recur_have_no_density() -> None:
    """A third of the numbers is 0: the model gives a probability, which a density exceeds without limit."""
    rng = np.random.default_rng(0)
    profit = np.where(rng.random(600) < 0.3, 0.0, 3 * rng.normal(size=600))
    table = load_data(pandas.DataFrame({"profit": profit, "other": rng.normal(size=600)}))
    assert [column.spikes for column in table.columns] == [(0.0,), ()]
    mixture = baselines.measure(baselines.mixture(table, 5), table)
    pca = baselines.measure(baselines.pca(table, 1), table)
    assert [score.name for score in mixture + pca] == ["squared_error"]
    assert not simple_models(table, table.valid, 1)


@pytest.mark.parametrize("units", [(1e-5, 1e-5, 1e-5), (1e-5, 1.0, 1e5), (1e5, 1e5, 1e5)])
@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_a_mixture_does_not_depend_on_the_units_of_the_columns(
    units: tuple[float, ...], covariance: Any, rows: Callable[[torch.Tensor], Dataset]
) -> None:
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 1] += x[:, 0]
    scale = torch.tensor(units, dtype=torch.float64)
    log_px = {}
    for name, dataset in (("plain", rows(x)), ("scaled", rows(x * scale))):
        mixture = baselines.mixture(dataset, 1, covariance=covariance)
        log_px[name] = value(baselines.measure(mixture, dataset), "log_px")
    assert log_px["scaled"] == pytest.approx(log_px["plain"] - float(scale.log().sum()), abs=1e-4)


def test_a_density_of_zeros_and_ones_is_not_given() -> None:
    dataset = some("binary", (1, 4, 4))
    assert {score.name for score in baselines.measure(baselines.pca(dataset, 2), dataset)} == {"squared_error"}
    assert not baselines.has_density(dataset)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda dataset: baselines.pca(dataset, 7), "fewer principal components than 7"),
        (lambda dataset: baselines.mixture(dataset, 1001), "too few for 1001 components"),
    ],
)
def test_too_many_components_are_refused(fit: Callable[[Dataset], object], message: str, cloud: Dataset) -> None:
    with pytest.raises(BadInput, match=message):
        fit(cloud)


def test_components_that_leave_nothing_have_no_density(cloud: Dataset, rows: Callable[[torch.Tensor], Dataset]) -> None:
    assert {score.name for score in baselines.measure(baselines.pca(cloud, 6), cloud)} == {"squared_error"}
    line = torch.linspace(-1e6, 1e6, 300).unsqueeze(1)
    dataset = rows(line * torch.tensor([1.0, 1.0, 2.0]))
    assert {score.name for score in baselines.measure(baselines.pca(dataset, 1), dataset)} == {"squared_error"}
    with pytest.raises(BadInput, match="lies in a subspace"):
        baselines.mixture(dataset, 3)


def test_the_command_takes_its_data_by_either_name(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["gaussian"], ["--data.source", "gaussian"]):
        with pytest.raises(SystemExit):
            cli.main(["baseline", *words, "--components", "1", "--latent", "1"])
    first, second = capsys.readouterr().out.split("test examples")[1:]
    assert first.split() == second.split()


@pytest.mark.parametrize("json_wanted", [False, True])
def test_the_command_for_baselines(json_wanted: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["baseline", "gaussian", "--components", "2", "--latent", "1", *(["--json"] if json_wanted else [])])
    assert not stop.value.code
    shown = capsys.readouterr().out
    if json_wanted:
        content = json.loads(shown)
        assert list(content) == ["PCA, 1 components", "Gaussian mixture, 2 components, full"]
        assert content["Gaussian mixture, 2 components, full"][0]["estimator"] == "exact, mixture of normals"
    else:
        assert "squared error" in shown
        assert "Gaussian mixture, 2 components, full" in shown
