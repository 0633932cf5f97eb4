"""Models with one problem each: the diagnosis finds it and no other, and its remedy improves the metric."""

import json
import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.decomposition import PCA

from aevb.cli import app as cli
from aevb.config.schema import Config
from aevb.data import Binarize, Dataset, Examples, Kind, load_data
from aevb.errors import BadInput
from aevb.evaluation import diagnosis
from aevb.evaluation.baselines import pca_log_px
from aevb.evaluation.diagnosis import EXPLAINS, Finding, simple_models, take_measurements
from aevb.evaluation.diagnosis.checks import high_learning_rate
from aevb.evaluation.diagnosis.findings import Measurements
from aevb.runs.run_folder import RunFolder
from aevb.workflow.fitting import fit_run


def dataset(x: np.ndarray[Any, Any], kind: Kind = "real") -> Dataset:
    values = torch.as_tensor(x).float()
    cuts = int(0.7 * len(x)), int(0.85 * len(x))
    parts = [Examples(part) for part in values.tensor_split(cuts)]
    return Dataset("rows", kind, tuple(values.shape[1:]), parts[0], parts[1], parts[2], "none", None)


def directions(columns: int, latent: int, noise: ArrayLike = 0.5, rows: int = 2000) -> Dataset:
    """A linear factor model: few directions of much variance among the columns."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(rows, latent)) @ rng.normal(size=(latent, columns))
    return dataset(factors + np.asarray(noise) * rng.normal(size=(rows, columns)))


def plane(noise: ArrayLike = 0.5) -> Dataset:
    return directions(5, 2, noise)


def cube(noise: ArrayLike = 0.5) -> Dataset:
    return directions(12, 6, noise)


def curve(noise: ArrayLike = 0.1) -> Dataset:
    """One bent direction among four columns."""
    rng = np.random.default_rng(0)
    t = rng.normal(size=(2000, 1))
    return dataset(np.concatenate([t, t**2, np.sin(t), t + 1], 1) + np.asarray(noise) * rng.normal(size=(2000, 4)))


def measured(load: Callable[..., Any], rows: int | None = None) -> Dataset:
    """Standardized measurements of scikit-learn, in random order."""
    x = np.random.default_rng(0).permutation(load().data)[:rows]
    return dataset((x - x.mean(0)) / x.std(0))


def clusters(centers: ArrayLike = ((0, 0, 1), (10, 0, -1), (5, 9, 0))) -> Dataset:
    rng, places = np.random.default_rng(0), np.asarray(centers)
    return dataset(places[rng.integers(0, len(places), 2000)] + 0.3 * rng.normal(size=(2000, places.shape[1])))


def bend(number: int, curvature: float) -> Dataset:
    """Bent arms around the origin: the normal posterior of the default gives z up before it finds them."""
    rng = np.random.default_rng(0)
    along, across = 1 + 0.3 * rng.normal(size=4000), 0.1 * rng.normal(size=4000)
    angle = 2 * np.pi * rng.integers(0, number, 4000) / number + curvature * np.exp(along)
    turn = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return dataset(2 * np.einsum("ijn,jn->ni", turn, np.stack([along, across])))


def circle() -> Dataset:
    """Eight normals on a circle."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * rng.integers(0, 8, 4000) / 8
    return dataset(2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.2 * rng.normal(size=(4000, 2)))


def prototypes(number: int = 3, columns: int = 40, rows: int = 2000) -> Dataset:
    """Binary rows that differ in a few elements from one of a few."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 2, (number, columns))
    x = few[rng.integers(0, number, rows)]
    return dataset(np.where(rng.random(x.shape) < 0.02, 1 - x, x), "binary")


def bursts(dispersion: float = 1.0, columns: int = 6) -> Dataset:
    """Counts with far more variance than Poisson's."""
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.exp(rng.normal(size=(2000, 1)) @ np.ones((1, columns)) + 1))
    return dataset(rng.negative_binomial(dispersion, share, size=(2000, columns)), "counts")


def little(binarize: Binarize = "none") -> Dataset:
    """197 images to learn from."""
    return load_data("digits", binarize=binarize, validation=0.3, test=0.59)


Options = dict[str, Any]
Case = tuple[Callable[[], Dataset], Options]


class Problem(NamedTuple):
    """A problem by its name in the diagnosis, and sets of data with options of training that have it."""

    name: str
    cases: Mapping[str, Case]


def config(epochs: int, **sections: Options) -> Options:
    """For rows, unless the sections say otherwise."""
    model = {"hidden": [32], "latent": [2]} | sections.get("model", {})
    train = {"epochs": epochs, "batch_size": 50} | sections.get("train", {})
    return sections | {"model": model, "train": train}


def latent(count: int) -> Options:
    return {"model": {"latent": [count]}}


LINEAR: Options = {"hidden": []}
FAST: Options = {"lr": 1e-2}
WIDE: Options = {"model": {"hidden": [128, 128]}, "objective": {"warmup": 0}}
LARGE: Options = {"model": {"hidden": [500], "latent": [10]}}
ROUGH = (0.05, 0.2, 0.5, 1.0, 2.0)
SHARED: Options = {"variance": "learned"}
PROBLEMS = {
    "collapse on curves": Problem(
        "simpler model is better",
        {
            "five arms": (lambda: bend(5, 0.25), config(100, **WIDE)),
            "three arms": (lambda: bend(3, 0.25), config(100, **WIDE)),
            "circle": (circle, config(100, **WIDE)),
        },
    ),
    "clusters by a linear decoder": Problem(
        "simpler model is better",
        {
            "three": (clusters, config(60, model=LINEAR, train=FAST)),
            "four": (lambda: clusters([(0, 0), (6, 0), (0, 6), (7, 7)]), config(60, model=LINEAR, train=FAST)),
            "five": (lambda: clusters(6 * np.eye(5)), config(60, model=LINEAR, train=FAST)),
        },
    ),
    "large weight of the rate": Problem(
        "posterior collapse",
        {
            "plane": (plane, config(60, objective={"beta": 50.0})),
            "cube": (cube, config(60, objective={"beta": 50.0})),
            "prototypes": (prototypes, config(60, objective={"beta": 50.0})),
        },
    ),
    "small weight of the rate": Problem(
        "objective is not the bound",
        {
            "plane": (plane, config(60, objective={"beta": 0.05})),
            "cube": (cube, config(60, objective={"beta": 0.05}, **latent(6))),
            "curve": (curve, config(60, objective={"beta": 0.05}, **latent(1))),
        },
    ),
    "many latent dimensions": Problem(
        "inactive or redundant",
        {
            "plane": (plane, config(200, train=FAST, **latent(20))),
            "curve": (curve, config(200, train=FAST, **latent(8))),
            "prototypes": (prototypes, config(200, train=FAST, **latent(10))),
        },
    ),
    "few latent dimensions": Problem(
        "too few latent dimensions",
        {
            "plane": (plane, config(100, **latent(1))),
            "cube": (cube, config(100, **latent(3))),
            "breast cancer": (lambda: measured(load_breast_cancer), config(200, **latent(1))),
        },
    ),
    "no noise": Problem(
        "vanishing variance",
        {
            "plane": (lambda: plane(0.0), config(300, model=LINEAR, train=FAST)),
            "cube": (lambda: cube(0.0), config(300, model={**LINEAR, "latent": [6]}, train=FAST)),
            "line": (lambda: directions(3, 1, 0.0), config(300, model={**LINEAR, "latent": [1]}, train=FAST)),
        },
    ),
    "three clusters of bits": Problem(
        "prior holes",
        {
            "three prototypes": (prototypes, config(100, model=LINEAR, train=FAST)),
            "four prototypes": (lambda: prototypes(4, 60), config(100, model=LINEAR, train=FAST)),
            "six prototypes": (lambda: prototypes(6, 100), config(100, model=LINEAR, train=FAST)),
        },
    ),
    "few epochs": Problem(
        "training ended too early",
        {
            "digits": (lambda: load_data("digits"), config(3, **latent(10))),
            "cube": (cube, config(4, **latent(6))),
            "prototypes": (prototypes, config(5)),
        },
    ),
    "bursts": Problem(
        "likelihood does not fit",
        {
            "six counts": (bursts, config(60, model={"latent": [1], "likelihood": "poisson"})),
            "twelve counts": (lambda: bursts(2.0, 12), config(60, model={"latent": [1], "likelihood": "poisson"})),
            "three counts": (lambda: bursts(0.5, 3), config(60, model={"latent": [1], "likelihood": "poisson"})),
        },
    ),
    "fixed variance": Problem(
        "likelihood does not fit",
        {
            "plane": (plane, config(60, model={"variance": 5.0})),
            "cube": (cube, config(60, model={"variance": 0.02, "latent": [6]})),
            "curve": (curve, config(60, model={"variance": 1.0, "latent": [1]})),
        },
    ),
    "unequal noise": Problem(
        "noise differs between elements",
        {
            "plane": (lambda: plane(ROUGH), config(100, model=SHARED)),
            "twelve columns": (lambda: directions(12, 2, np.linspace(0.2, 1.5, 12)), config(100, model=SHARED)),
            "curve": (lambda: curve((0.05, 0.1, 0.5, 0.2)), config(100, model={**SHARED, "latent": [1]})),
        },
    ),
    "high learning rate": Problem(
        "learning rate is too high",
        {
            "plane": (plane, config(60, train={"lr": 0.3})),
            "clusters": (clusters, config(60, train={"lr": 1.0})),
            "prototypes": (prototypes, config(60, train={"lr": 0.3})),
        },
    ),
}
CASES = [(problem, case) for problem, content in PROBLEMS.items() for case in content.cases]


def train(folder: Path, data: Dataset, given: dict[str, Any], seed: int) -> RunFolder:
    return fit_run(Config.model_validate(given | {"seed": seed}), folder, data)


def diagnose(run: RunFolder, data: Dataset) -> list[Finding]:
    trained = (run.model, run.config, run.resolved, run.epochs)
    return diagnosis.diagnose(*trained, data)


def measurements(run: RunFolder, data: Dataset) -> Measurements:
    trained = (run.model, run.config, run.resolved, run.epochs)
    return take_measurements(*trained, data, seed=0)


def following(given: Options, remedy: str) -> Options:
    """Return a configuration with the options of a remedy."""
    result: Options = {name: dict(section) for name, section in given.items()}
    options, _, without = remedy.partition(" without ")
    for name in filter(None, without.split(", ")):
        section, _, field = name.removeprefix("--").partition(".")
        del result[section][field.replace("-", "_")]
    words = shlex.split(options)
    for name, value in zip(words[::2], words[1::2], strict=True):
        section, _, field = name.removeprefix("--").partition(".")
        if field:
            result.setdefault(section, {})[field.replace("-", "_")] = _read(value)
        else:
            result[section] = value
    return result


def _read(value: str) -> object:
    return json.loads(value) if value[0].isdigit() else value


@pytest.mark.slow
@pytest.mark.parametrize(("problem", "case"), CASES)
def test_a_problem_is_found_alone_and_its_remedy_helps(problem: str, case: str, tmp_path: Path) -> None:
    """After the remedy the problem is gone, or log p(x) of validation examples is better by a tenth of a nat."""
    (name, cases), seed = PROBLEMS[problem], 0
    data, given = cases[case][0](), cases[case][1]
    ill = train(tmp_path / "ill", data, given, seed)
    findings = diagnose(ill, data)
    assert len(findings) == 1, findings
    found = findings[0]
    assert name in found.problem
    treated = train(tmp_path / "treated", data, following(given, found.remedy), seed)
    remaining = {finding.problem for finding in diagnose(treated, data)}
    gain = (measurements(treated, data).valid_log_px - measurements(ill, data).valid_log_px).mean().item()
    print(f"| {name} | {case} | {found.remedy} | {gain:+.2f} | {', '.join(remaining) or 'none'} |")
    assert found.problem not in remaining or gain > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("few", "many", "epochs"),
    [
        (little, lambda: load_data("digits"), (300, 300)),
        (lambda: little("threshold"), lambda: load_data("digits", binarize="threshold"), (300, 300)),
        (lambda: prototypes(6, 100, 200), lambda: prototypes(6, 100), (1500, 150)),
    ],
    ids=["digits", "black and white digits", "prototypes"],
)
def test_more_training_examples_help_against_over_fitting(
    few: Callable[[], Dataset], many: Callable[[], Dataset], epochs: tuple[int, int], tmp_path: Path
) -> None:
    values = []
    for number, data in enumerate((few(), many())):
        run = train(tmp_path / str(number), data, config(epochs[number], **LARGE), 0)
        values.append(measurements(run, data).valid_log_px.mean().item())
        if number == 0:
            found = diagnose(run, data)
            assert [(finding.problem, finding.remedy) for finding in found] == [
                ("over-fitting", "more training examples")
            ]
    print(f"| over-fitting | | more training examples | {values[1] - values[0]:+.2f} |")
    assert values[1] > values[0] + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "size"), [(plane, 2), (cube, 6), (lambda: measured(load_diabetes), 4)], ids=["plane", "cube", "diabetes"]
)
def test_outliers_are_named_and_not_found_once_they_are_removed(
    load: Callable[[], Dataset], size: int, tmp_path: Path
) -> None:
    clean = load()
    wrong = Examples(clean.train.values.clone())
    wrong.values[[3, 40, 77], [0, 1, 2]] = torch.tensor([4e3, -9e3, 2e4])
    ill = Dataset(**{**vars(clean), "train": wrong})
    findings = diagnose(train(tmp_path / "ill", ill, config(100, **latent(size)), 0), ill)
    assert [finding.problem for finding in findings] == ["outliers"]
    assert all(f"row {row}" in findings[0].evidence for row in (3, 40, 77))
    kept = torch.ones(len(wrong), dtype=torch.bool)
    kept[[3, 40, 77]] = False
    corrected = Dataset(**{**vars(clean), "train": Examples(wrong.values[kept])})
    after = diagnose(train(tmp_path / "corrected", corrected, config(100, **latent(size)), 0), corrected)
    assert "outliers" not in {finding.problem for finding in after}


@pytest.mark.parametrize(("after", "found"), [(-1e3, True), (-3.0, False)], ids=["divergence", "noise"])
def test_a_training_that_diverged_at_a_usual_learning_rate(after: float, found: bool, tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(3), 0)
    last = run.epochs[-1]
    assert last.valid
    worse = replace(last, number=4, valid=replace(last.valid, robust=last.valid.merit + after))
    measured = measurements(run, data)._replace(epochs=[*run.epochs, worse])
    finding = high_learning_rate(measured)
    assert (finding is not None) == found
    if finding:
        assert finding.remedy == "--train.lr 0.001"
        assert f"{-after:.2f} nats" in finding.evidence


@pytest.mark.slow
def test_the_weight_of_one_gives_the_better_bound(tmp_path: Path) -> None:
    """With weight 1 there is no finding, so its metric is compared here."""
    data, bounds = plane(), []
    for number, beta in enumerate((0.05, 1.0)):
        run = train(tmp_path / str(number), data, config(60, objective={"beta": beta}), 0)
        found = measurements(run, data).valid
        bounds.append(-(found.rate + found.distortion).mean().item())
    assert bounds[1] > bounds[0] + 0.5


@pytest.mark.slow
def test_a_good_model_has_no_problems(tmp_path: Path) -> None:
    data = plane()
    assert diagnose(train(tmp_path / "run", data, config(200), 0), data) == []


@pytest.mark.slow
def test_false_alarms_are_rare(tmp_path: Path) -> None:
    """Fifty good models: if one in fifty has a false alarm, more than three have one in one of fifty such tests."""
    alarms = []
    for columns, size in ((3, 1), (5, 2), (8, 3), (12, 4), (20, 5)):
        data = directions(columns, size)
        for seed in range(10):
            run = train(tmp_path / f"{columns}-{seed}", data, config(100, **latent(size)), seed)
            alarms += [f"{columns} columns, seed {seed}: {found.problem}" for found in diagnose(run, data)]
    print(alarms)
    assert len(alarms) <= 3


@pytest.mark.slow
def test_a_good_autoencoder_has_no_problems(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(200, model={"posterior": "point"}), 0)
    assert diagnose(run, data) == []


def test_a_diagnosis_does_not_use_the_test_split(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(2), 0)
    broken = Dataset(
        **{**vars(data), "test": Examples(torch.full_like(data.test.values, math.nan))},
    )
    assert diagnose(run, broken) == diagnose(run, data)


@pytest.mark.parametrize(
    ("epochs", "then_from", "shown"), [(1, 0.9, "1 epoch"), (4, 0.5, "4 epochs"), (4, 0.9, "4 epochs")]
)
def test_short_training_with_two_objectives(epochs: int, then_from: float, shown: str, tmp_path: Path) -> None:
    """All epochs count in the advice, although the second objective alone tells whether the bound still improves."""
    data, objective = plane(), {"then": "iwae", "then_from": then_from}
    run = train(tmp_path / "run", data, config(epochs, objective=objective, train={"batch_size": 500}), 0)
    (finding,) = (one for one in diagnose(run, data) if one.problem == "training ended too early")
    assert finding.evidence.startswith(f"{shown} of ")
    assert ("second half" in finding.evidence) == (epochs * (1 - then_from) > 1)
    assert int(finding.remedy.removeprefix("--train.epochs ")) >= 4 * epochs


def test_a_run_without_an_epoch_has_no_diagnosis(tmp_path: Path) -> None:
    data = plane()
    run = train(tmp_path / "run", data, config(1), 0)
    run.epochs.clear()
    with pytest.raises(BadInput, match="need a finished epoch and at least two validation examples"):
        diagnose(run, data)


@pytest.mark.slow
@pytest.mark.parametrize(("ill", "json_wanted"), [(True, False), (False, True)])
def test_the_command(
    ill: bool, json_wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("rows.npy", rng.normal(size=(2000, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(2000, 5)))
    options = "--model.hidden 32 --train.batch-size 50 --n-importance-samples 2 --out run --train.epochs"
    commands = [
        f"train rows.npy {options} {3 if ill else 200}",
        f"diagnose run {'--json' * json_wanted}",
    ]
    for command in commands:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main(command.split())
        assert not stop.value.code
    shown = capsys.readouterr().out
    if json_wanted:
        findings = json.loads(shown)["findings"]
        assert [finding["problem"] for finding in findings] == ["training ended too early"] * ill
    elif ill:
        assert "training ended too early" in shown
        assert "try       --train.epochs" in shown
    else:
        assert f"run: {len(EXPLAINS)} checks, no problems found" in shown


def test_probabilistic_pca_needs_no_square_matrix() -> None:
    x = np.random.default_rng(0).normal(size=(80, 30)) * np.linspace(1, 3, 30)
    for rows in (x, x[:20]):  # also with fewer rows than numbers
        model = PCA(4, svd_solver="full").fit(rows)
        np.testing.assert_allclose(pca_log_px(model, x), model.score_samples(x))


def test_simple_models_of_large_examples_are_fitted_to_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_models, "ENTRIES", 40**2 * 64)
    dataset = load_data("digits")
    assert simple_models.simple_models(dataset, dataset.valid, 30)
    assert not simple_models.simple_models(dataset, dataset.valid, 40)  # as many components as examples


@pytest.mark.parametrize("weight", [torch.eye(5, 30), torch.arange(150.0).view(5, 30).square().sin()])
def test_data_in_a_subspace_have_no_linear_model(weight: torch.Tensor) -> None:
    """The noise that rounding leaves outside the subspace is none: the density would have no bound."""
    torch.manual_seed(0)
    some, others = (Examples(torch.randn(count, 5) @ weight + 3.3) for count in (150, 50))
    dataset = Dataset("plane", "real", (30,), some, others, others, "none", None)
    assert not simple_models.simple_models(dataset, others, 8)
    assert simple_models.simple_models(dataset, others, 1)
