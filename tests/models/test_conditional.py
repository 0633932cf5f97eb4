"""Conditional models: p(x|c) is right, what is given is heard, and every command knows of it."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas
import pytest
import torch
from torch import Tensor

from aevb.cli.app import main
from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, TrainConfig
from aevb.data import load_data
from aevb.data.condition import all_conditions, parse_condition, with_condition
from aevb.data.dataset import Dataset, UnsplitData
from aevb.data.examples import Examples
from aevb.data.splits import split_data
from aevb.errors import BadInput
from aevb.evaluation.importance_sampling import per_example
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.measures import Effort, measure
from aevb.explorer.conditioned import under_condition
from aevb.models.batch import Batch
from aevb.models.linear import linear_optimum
from aevb.rng import RNGStream, seeded
from aevb.runs.export import export
from aevb.runs.run_folder import RunFolder
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.workflow.fitting import fit_run

CLASSES = ("a", "b", "c")


def classed(count: int = 900, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows x = μ_c + W z + ε of three classes, ``(N, 4)``, and the classes ``(N,)``."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    centers, weight = 3 * rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    x = centers[labels] + rng.normal(size=(count, 2)) @ weight.T + 0.4 * rng.normal(size=(count, 4))
    return torch.from_numpy(x).float(), torch.from_numpy(labels)


def rows_of_classes(**options: Any) -> Dataset:
    x, labels = classed(**options)
    pool = UnsplitData("rows", Examples(x, labels), CLASSES)
    return split_data(with_condition(pool, ["label"]), "none", 0.1, 0.2, 0)


def model_of(dataset: Dataset, **options: Any) -> Any:
    with seeded(0, RNGStream.WEIGHTS):
        config = resolve(ModelConfig.model_validate(options), dataset)
        model = build(config, dataset.shape, dataset.columns, dataset.condition_columns)
        model.initialize(dataset.train.all())
    return model


@pytest.mark.slow
def test_the_linear_model_reaches_the_optimum_around_the_means_of_the_classes() -> None:
    """log p(x|c) of the best linear model is that of probabilistic PCA of x - E[x|c]."""
    dataset = rows_of_classes()
    x, labels = dataset.train.all().x, dataset.train.labels
    model = model_of(dataset, hidden=(), latent=2)
    objective = build_objective(Config().objective)
    fit(model, objective, dataset.train, config=TrainConfig(epochs=300, batch_size=100, lr=1e-2, lr_decay=0.7))
    assert labels is not None
    residual = torch.cat([x[labels == label] - x[labels == label].mean(0) for label in range(3)])
    found = per_example(model, dataset.train, 50).log_px.mean().item()
    assert found == pytest.approx(linear_optimum(residual, 2), abs=5e-3)


@pytest.mark.parametrize("latent", [(2,), (3, 2)])
@pytest.mark.parametrize("posterior", ["diagonal", "full", "point"])
def test_the_condition_reaches_encoder_and_decoder(latent: tuple[int, ...], posterior: str) -> None:
    dataset = rows_of_classes(count=60)
    model = model_of(dataset, latent=latent, posterior=posterior, hidden=(8,))
    batch = dataset.test.all()
    x, condition = batch.x, batch.condition
    assert condition is not None
    other = (condition + 1) % 3
    assert not torch.equal(model.latent_means(batch)[-1], model.latent_means(Batch(x, other))[-1])
    z = torch.zeros(len(x), latent[0])
    assert not torch.equal(model.decode(z, condition).mean, model.decode(z, other).mean)
    one = torch.tensor([[1.0]])
    torch.testing.assert_close(model.decode(z, one).mean, model.decode(z, torch.ones(len(x), 1)).mean)
    assert model.sample(7, one).shape == (7, 4)
    assert model.sample(250, condition[:1].expand(250, 1)).shape == (250, 4)
    for wrong in (0, 2, 101, 111):  # 101 would leave one for the last ten
        with pytest.raises(BadInput, match=f"number of conditions: got {wrong}, expected 1 or 110"):
            model.sample(110, condition[:1].expand(wrong, 1))
    assert model.interpolate(x, x.flip(0), 3, condition).shape == (3, *x.shape)


def test_each_point_is_decoded_under_its_own_condition() -> None:
    dataset = rows_of_classes(count=60)
    model = model_of(dataset, hidden=(8,))
    z, condition = torch.randn(5, 3, model.posterior.latent), torch.tensor([[0.0], [1.0], [2.0]])
    together = model.decode(z, condition).mean
    for index in range(3):
        alone = model.decode(z[:, index], condition[index : index + 1]).mean
        torch.testing.assert_close(together[:, index], alone)


def test_no_number_depends_on_batches() -> None:
    dataset = rows_of_classes(count=300)
    model = model_of(dataset, hidden=(8,)).double()
    whole = per_example(model, dataset.test, 20)
    small = per_example(model, dataset.test, 20, memory=2**12)
    turned = per_example(model, dataset.test[torch.arange(len(dataset.test)).flip(0)], 20)
    torch.testing.assert_close(whole.log_px, small.log_px)
    torch.testing.assert_close(whole.log_px, turned.log_px.flip(0))
    apart = [latent_means(model, chunk) for chunk in dataset.test.chunks(7)]
    torch.testing.assert_close(latent_means(model, dataset.test), torch.cat(apart))


@pytest.mark.slow
def test_captured_and_stacked_training_equal_eager_training() -> None:
    """600 steps are written as a graph, and twice as one stacked model; 10 are not."""
    dataset, objective = rows_of_classes(count=100), build_objective(Config().objective)
    config = TrainConfig(epochs=75, batch_size=10, keep="last")
    alone = model_of(dataset, hidden=(4,))
    fit(alone, objective, dataset.train, config=config, seed=1)
    together = [model_of(dataset, hidden=(4,)) for _ in range(2)]
    fit_stacked(
        [TrainingJob(model, seed) for seed, model in enumerate(together)], objective, dataset.train, config=config
    )
    plain = model_of(dataset, hidden=(4,))
    plain.encoder.register_forward_hook(lambda *_: None)  # which no graph would call
    fit(plain, objective, dataset.train, config=config, seed=1)
    for name, weight in alone.state_dict().items():
        torch.testing.assert_close(plain.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(together[1].state_dict()[name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["table", "rows"])
def test_a_model_under_one_condition_is_the_same_model(kind: str) -> None:
    if kind == "table":
        rng = np.random.default_rng(0)
        frame = pandas.DataFrame(
            {"x": 100 + rng.normal(size=60), "n": rng.poisson(3, 60), "c": rng.choice(["a", "b"], 60)}
        )
        dataset = load_data(frame, condition=["c"])
    else:
        dataset = rows_of_classes(count=60)
    model, batch = model_of(dataset, hidden=(4,)).eval(), dataset.train.batch(slice(0, 5))
    assert batch.condition is not None
    condition = batch.condition[:1]
    alone = under_condition(model, condition)
    torch.testing.assert_close(alone.encode(batch.x).mean, model.encode(Batch(batch.x, condition)).mean)


def test_messages_of_bad_input() -> None:
    x, labels = classed(count=30)
    unlabelled = UnsplitData("rows", Examples(x))
    with pytest.raises(BadInput, match="no labels"):
        with_condition(unlabelled, ["label"])
    with pytest.raises(BadInput, match="is not a table and has no column 'colour'"):
        with_condition(UnsplitData("rows", Examples(x, labels), CLASSES), ["colour"])
    dataset = rows_of_classes(count=60)
    with pytest.raises(BadInput, match="prior='vamp' has no meaning"):
        resolve(ModelConfig(prior="vamp"), dataset)
    model = model_of(dataset, hidden=(4,))
    with pytest.raises(BadInput, match="this model is conditional: pass condition="):
        model.encode(x)
    with pytest.raises(BadInput, match="this model is unconditional: do not pass condition="):
        model_of(split_data(unlabelled, "none", 0.1, 0.2, 0), hidden=(4,)).sample(1, torch.zeros(1, 1))
    with pytest.raises(BadInput, match="measure quadrature needs an unconditional model: expected one of"):
        measure("quadrature", model, dataset)
    with pytest.raises(BadInput, match=r"'label' is missing: pass condition=\{'label': 'a or b or c'\}"):
        parse_condition(dataset.condition_columns, {})
    with pytest.raises(BadInput, match="'size' is not a condition of this model: expected label"):
        parse_condition(dataset.condition_columns, {"size": "1"})


@pytest.mark.parametrize(
    "name", ["likelihood", pytest.param("annealing", marks=pytest.mark.slow), "gaps", "sample-quality"]
)
def test_measures_of_a_conditional_model(name: str) -> None:
    dataset = rows_of_classes(count=100)
    scores = measure(name, model_of(dataset, hidden=(4,)), dataset, "test", Effort(n_importance_samples=5, examples=8))
    assert scores
    assert all(math.isfinite(score.value) for score in scores if score.name != "effective_samples")


def test_a_run_of_images_through_the_commands(stripes: Dataset, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    images = torch.cat([stripes.train.values, stripes.test.values]).squeeze(1).numpy()
    labels = torch.cat([part.labels for part in (stripes.train, stripes.test) if part.labels is not None]).numpy()
    np.savez("stripes.npz", x=images, y=labels)
    common = ["--model.hidden", "16", "--train.epochs", "80", "--train.batch-size", "20", "--train.lr", "1e-2"]
    common += ["--no-report"]
    assert command("train", "stripes.npz", "--model.condition", "label", "--out", "run", *common) == 0
    assert "condition label" in capsys.readouterr().out
    run = RunFolder.load("run")
    assert run.load_data().condition_columns == run.data.condition_columns
    assert command("sample", "run", "--condition.label", "1", "--out", "ones.npy") == 0
    assert command("sample", "run", "--n-samples", "10", "--out", "each.npy") == 0
    each = np.load("each.npy")
    mean = {label: images[labels == label].mean(0) / 255 for label in (0, 1)}
    near = [np.abs(x[0] - mean[0]).sum() < np.abs(x[0] - mean[1]).sum() for x in each]
    assert near == [True] * 5 + [False] * 5  # each class in turn
    assert all(np.abs(x[0] - mean[1]).sum() < np.abs(x[0] - mean[0]).sum() for x in np.load("ones.npy"))
    assert command("reconstruct", "run", "--condition.label", "0", "--out", "zeros.npy") == 0
    assert all(np.abs(x[0] - mean[0]).sum() < np.abs(x[0] - mean[1]).sum() for x in np.load("zeros.npy")[1])
    for words in (["encode", "run", "stripes.npz"], ["score", "run", "stripes.npz", "--false-alarm-rate", "0.2"]):
        assert command(*words) == 0
    np.save("bare.npy", images)
    assert command("encode", "run", "bare.npy") == 2
    assert "no labels, which are the condition of this model" in capsys.readouterr().err
    assert command("sample", "run", "--condition.label", "9") == 2
    assert "expected one of 0, 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_a_table_through_the_commands(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with Path("people.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["age", "town", "height", "member", "visits"])
        for _ in range(500):
            town, age = int(rng.integers(3)), rng.uniform(20, 60)
            height = f"{10 * town + 0.1 * age + rng.normal():.2f}"
            out.writerow([f"{age:.1f}", ("Bern", "Basel", "Chur")[town], height, rng.random() < 0.5, rng.poisson(3)])
    common = ["--train.epochs", "120", "--train.batch-size", "50", "--train.lr", "1e-2", "--model.hidden", "32"]
    conditions = ["--model.condition", "town", "age"]
    assert command("train", "people.csv", *conditions, "--out", "run", *common) == 0
    assert command("sample", "run", "--condition.town", "Chur", "--condition.age", "40", "--n-samples", "400") == 0
    with Path("run/samples.csv").open(newline="") as file:
        drawn = list(csv.DictReader(file))
    assert list(drawn[0]) == ["age", "town", "height", "member", "visits"]
    assert {row["town"] for row in drawn} == {"Chur"}
    assert {float(row["age"]) for row in drawn} == {40.0}
    assert np.mean([float(row["height"]) for row in drawn]) == pytest.approx(24, abs=1)
    capsys.readouterr()
    assert command("sample", "run") == 2
    assert "--condition.age NUMBER" in capsys.readouterr().err
    Path("gaps.csv").write_text("town,age,height,member,visits\nBasel,30,,true,\n,,12,,3\n")
    for words in (
        ["impute", "run", "gaps.csv"],
        ["encode", "run", "gaps.csv"],
        ["reconstruct", "run"],
        ["diagnose", "run"],
    ):
        assert command(*words) == 0
    with Path("run/imputed.csv").open(newline="") as file:
        full = list(csv.DictReader(file))
    assert float(full[0]["height"]) == pytest.approx(13, abs=2)
    assert [full[1]["town"], full[1]["age"]] == ["", ""]  # what is given is not made up
    assert command("train", "people.csv", "--model.condition", "toun", "--out", "other") == 2
    assert "has no column 'toun' for a condition" in capsys.readouterr().err
    assert not Path("other").exists()


@pytest.mark.slow
def test_the_explorer_shows_the_model_under_a_condition(tmp_path: Path, capsys: Any) -> None:
    folder = str(tmp_path / "run")
    assert command("train", "digits", "--model.condition", "label", "--train.epochs", "1", "--out", folder) == 0
    assert command("explore", folder, "--no-open") == 2
    assert "--condition.label 0 or 1" in capsys.readouterr().err
    assert command("explore", folder, "--no-open", "--condition.label", "3") == 0
    page = (tmp_path / "run" / "explorer.html").read_text()
    assert "digits given label 3" in page
    assert 'href="explorer.html"' in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_exported_files_take_the_condition(tmp_path: Path) -> None:
    import onnxruntime

    dataset = rows_of_classes(count=60)
    config = Config.model_validate({"model": {"hidden": (8,), "latent": 2}, "train": {"epochs": 1, "batch_size": 10}})
    run = fit_run(config, tmp_path / "run", dataset)
    files = export(run, tmp_path / "onnx")
    assert max(file.difference for file in files) < 1e-4
    onnx.checker.check_model(onnx.load(files[1].path))
    session = onnxruntime.InferenceSession(str(files[1].path), providers=["CPUExecutionProvider"])
    z, condition = np.zeros((3, 2), np.float32), np.array([[0], [1], [2]], np.float32)
    (mean,) = session.run(None, {"z": z, "condition": condition})
    with torch.no_grad():
        expected = run.model.decode(torch.from_numpy(z), torch.from_numpy(condition)).mean
    np.testing.assert_allclose(mean, expected.numpy(), atol=1e-5)


def test_conditions_are_part_of_what_a_run_was_trained_on() -> None:
    assert load_data("digits").fingerprint != load_data("digits", condition=["label"]).fingerprint
    values = all_conditions(load_data("digits", condition=["label"]).condition_columns)
    assert values is not None
    assert values.squeeze(1).tolist() == list(range(10))


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)
