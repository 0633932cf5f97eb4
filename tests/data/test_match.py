"""The score of an example depends on it and on the model, and not on what else is in its file."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import aevb
from aevb.cli import app as cli
from aevb.data.loading import read_examples
from aevb.data.match import DataSpec
from aevb.data.value_kinds import Kind
from aevb.errors import BadInput
from tests.conftest import mostly_slow

RNG = np.random.default_rng(0)
CATEGORICAL = {"likelihood": "categorical"}
QUICK: dict[str, Any] = {"hidden": (4,), "epochs": 2, "n_importance_samples": 2, "report": False}


def trained(data: object, folder: Path, **options: Any) -> aevb.Run:
    return aevb.train(data, out=folder, **QUICK | options)


def scores(run: aevb.Run, data: object) -> NDArray[np.float64]:
    return run.score(data, n_importance_samples=5, false_alarm_rate=0.2).log_px.numpy()


def frames() -> NDArray[np.uint8]:
    """Gray levels, of which every third frame has only 0 and 1."""
    x = RNG.gamma(1.0, 8.0, (60, 4, 4)).clip(0, 255).astype(np.uint8)
    x[::3] = RNG.integers(0, 2, (20, 4, 4))
    return x


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (frames(), {}),
        pytest.param(
            RNG.integers(0, 256, (60, 4, 4)).astype(np.uint8), {"binarize": "threshold"}, marks=pytest.mark.slow
        ),
        pytest.param(frames()[:, None].repeat(3, 1), {}, marks=pytest.mark.slow),
        pytest.param(RNG.random((60, 3)), {}, marks=pytest.mark.slow),
        pytest.param(RNG.integers(0, 2, (60, 3)), {}, marks=pytest.mark.slow),
        pytest.param(RNG.integers(0, 2, (60, 1, 4, 4)).astype(np.uint8) * 255, {}, marks=pytest.mark.slow),
        pytest.param(RNG.poisson(20.0, (60, 3)), {}, marks=pytest.mark.slow),
        pytest.param(RNG.poisson(20.0, (60, 3)).astype(np.uint8), {}, marks=pytest.mark.slow),
        (RNG.integers(0, 4, (60, 3)), CATEGORICAL),
        pytest.param(RNG.normal(size=(60, 3)), {}, marks=pytest.mark.slow),
        pytest.param(RNG.normal(size=(60, 1, 4, 4)), {}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("stored", ["array", *(pytest.param(name, marks=pytest.mark.slow) for name in ("npy", "npz"))])
def test_rows_of_arrays(values: NDArray[Any], options: dict[str, Any], stored: str, tmp_path: Path) -> None:
    run = trained(values, tmp_path / "run", **options)

    def kept(rows: NDArray[Any], name: str) -> object:
        if stored == "array":
            return rows
        path = tmp_path / f"{name}.{stored}"
        np.save(path, rows) if stored == "npy" else np.savez(path, x=rows)
        return path

    chosen = np.array([0, 3, 7, 6])
    together = scores(run, kept(values[chosen], "some"))
    for position, row in enumerate(chosen):
        assert scores(run, kept(values[row : row + 1], "one"))[0] == pytest.approx(together[position], abs=1e-4)
    for rows in ([5, 0, 0, 7, 0, 6], [*range(20), 3, 3, 3]):  # some of them several times
        found = dict(zip(rows, scores(run, kept(values[rows], "many")), strict=True))
        for position, row in enumerate(chosen):
            assert found.get(row, together[position]) == pytest.approx(together[position], abs=1e-4)


def mixed_table() -> pandas.DataFrame:
    """Columns of every type, with missing values, times in seconds and a category that looks like a number."""
    count = 60
    return pandas.DataFrame(
        {
            "when": 1.7e9 + 10 * RNG.normal(size=count),
            "amount": np.exp(RNG.normal(3, 1, count)).round(2),
            "visits": RNG.poisson(3.0, count),
            "grade": RNG.choice(list("123A"), count),
            "member": RNG.choice(["yes", "no"], count),
            "x": np.where(RNG.random(count) < 0.2, np.nan, RNG.normal(size=count)),
        }
    )


def written(frame: pandas.DataFrame, path: Path, kind: str) -> object:
    """The table as a data frame, or the path of a file with it."""
    if kind in ("pandas", "polars"):
        return frame if kind == "pandas" else polars.from_pandas(frame)
    path = path.with_suffix(f".{kind}")
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    return path


@pytest.mark.parametrize("stored", mostly_slow(["csv", "tsv", "parquet", "pandas", "polars"]))
@pytest.mark.parametrize("condition", mostly_slow([(), ("grade",)]))
def test_rows_of_tables(stored: str, condition: tuple[str, ...], tmp_path: Path) -> None:
    """Any rows, in any order, some of them several times, with the columns in another order and a further one."""
    frame = mixed_table()
    run = trained(written(frame, tmp_path / "all", stored), tmp_path / "run", condition=condition)
    expected = scores(run, written(frame, tmp_path / "again", stored))

    @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, len(frame) - 1), min_size=1, max_size=8), st.permutations(list(frame.columns)))
    def check(rows: list[int], names: list[str]) -> None:
        part = frame.iloc[rows][names].assign(other="text").reset_index(drop=True)
        np.testing.assert_allclose(scores(run, written(part, tmp_path / "part", stored)), expected[rows], atol=1e-4)

    check()


def test_a_gray_image_for_a_model_of_gray_and_color(tmp_path: Path) -> None:
    for name in ("mixed", "gray", "both"):
        (tmp_path / name).mkdir()
    images = [Image.fromarray(RNG.integers(0, 256, (4, 5, 3)).astype(np.uint8)) for _ in range(20)]
    for number, image in enumerate(images):
        (image if number % 2 else image.convert("L")).save(tmp_path / "mixed" / f"{number}.png")
    images[0].convert("L").save(tmp_path / "gray" / "0.png")
    images[0].convert("L").save(tmp_path / "both" / "0.png")
    images[1].save(tmp_path / "both" / "1.png")
    run = trained(tmp_path / "mixed", tmp_path / "run")
    assert scores(run, tmp_path / "gray")[0] == pytest.approx(scores(run, tmp_path / "both")[0], abs=1e-4)
    gray = trained(np.stack([np.asarray(image.convert("L")) for image in images]), tmp_path / "gray-run")
    with pytest.raises(BadInput, match=r"examples of shape \(3, 4, 5\): expected \(1, 4, 5\)"):
        scores(gray, tmp_path / "both")


@pytest.mark.parametrize(
    ("values", "wrong", "options", "said"),
    [
        (RNG.random((60, 3)), 1.3, {}, "has the value 1.3: expected values in [0, 1]"),
        pytest.param(
            RNG.random((60, 3)), -0.5, {}, "has the value -0.5: expected values in [0, 1]", marks=pytest.mark.slow
        ),
        pytest.param(RNG.integers(0, 2, (60, 3)), 2, {}, "has the value 2: expected 0 or 1", marks=pytest.mark.slow),
        pytest.param(
            RNG.poisson(2.0, (60, 3)),
            1.5,
            {},
            "has the value 1.5: expected whole numbers from 0",
            marks=pytest.mark.slow,
        ),
        (
            RNG.integers(0, 4, (60, 3)),
            4,
            {"likelihood": "categorical"},
            "has the value 4: expected whole numbers from 0 to 3",
        ),
    ],
)
def test_a_value_that_training_could_not_have_is_the_anomaly(
    values: NDArray[Any], wrong: float, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    run = trained(values, tmp_path / "run", **options)
    new = values[:12].astype(float)
    new[5, 1] = wrong
    scored = run.score(new, n_importance_samples=5, false_alarm_rate=0.2)
    assert list(scored.outside) == [5]
    assert scored.outside[5] == f"{said}, as in the training data"
    assert scored.log_px[5] == -math.inf
    assert scored.log_px.isfinite().sum() == 11
    assert scored.is_anomaly is not None
    assert scored.is_anomaly[5]
    assert scored.p_values is not None
    assert scored.p_values[5] == scored.p_values.min() == 1 / 13
    np.testing.assert_allclose(scored.log_px[:5], scores(run, values[:5].astype(float)), atol=1e-4)
    with pytest.raises(BadInput, match="row 5 counted from 0 has the value"):
        run.encode(new)


def write(name: str, rows: list[Any]) -> None:
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


IMAGES = DataSpec("unit", (3, 8, 8), (), (), "none", None, None, 0, None, byte_scale=1 / 255)


def test_numbers_to_255_are_no_bytes() -> None:
    with pytest.raises(BadInput, match=r"expected values in \[0, 1\].*; pass bytes \(uint8\), or divide by 255$"):
        read_examples(np.full((2, 8, 8, 3), 113.0), IMAGES)
    with pytest.raises(BadInput, match=r"as in the training data$"):
        read_examples(np.full((2, 8, 8, 3), 1e6), IMAGES)
    assert read_examples(np.full((2, 8, 8, 3), 113, dtype=np.uint8), IMAGES).all().x.max() == pytest.approx(113 / 255)


@pytest.mark.parametrize("image_size", [None, 8])
def test_images_have_the_size_of_the_training_data(image_size: int | None, tmp_path: Path) -> None:
    for number, size in enumerate([(10, 12), (30, 20)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    spec = IMAGES._replace(image_size=image_size)
    assert read_examples(tmp_path, spec).shape == (3, 8, 8)
    assert read_examples(np.zeros((2, 8, 8, 3)), spec).shape == (3, 8, 8)


@pytest.mark.parametrize(("kind", "byte_scale"), [("unit", 1 / 16), ("binary", 1.0)])
def test_white_of_image_files_is_that_of_models_of_other_bytes(kind: Kind, byte_scale: float, tmp_path: Path) -> None:
    """Those of the training data are from 0 to 16, or 0 and 1."""
    Image.fromarray(255 * np.eye(8, dtype=np.uint8)).save(tmp_path / "a.png")
    spec = IMAGES._replace(kind=kind, byte_scale=byte_scale)
    assert torch.equal(read_examples(tmp_path, spec).all().x, torch.eye(8).expand(1, 3, 8, 8))


@pytest.mark.slow
def test_a_condition_that_training_could_not_have_is_the_anomaly(tmp_path: Path) -> None:
    frame = mixed_table()
    run = trained(frame, tmp_path / "run", condition=("grade",))
    new = frame.iloc[:4].assign(grade=["1", "B", "A", "2"])
    scored = run.score(new, n_importance_samples=5, false_alarm_rate=0.2)
    assert scored.outside == {1: "grade is 'B', which does not occur in the training data"}
    assert scored.log_px.isfinite().tolist() == [True, False, True, True]
    with pytest.raises(BadInput, match="column 'grade' holds 'B' in row 1 counted from 0"):
        run.encode(new)
    images, labels = RNG.random((60, 1, 4, 4)), np.arange(60) % 3
    run = trained((images, labels), tmp_path / "images", condition=("label",))
    scored = run.score((images[:3], np.array([0, 7, 2])), n_importance_samples=5, false_alarm_rate=0.2)
    assert list(scored.outside) == [1]


def test_rows_of_a_table_with_new_categories_and_impossible_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [["grade", "visits", "x"], *([("123A"[row % 4]), row % 3, f"{row / 7:.3f}"] for row in range(80))]
    write("t.csv", rows)
    run = trained("t.csv", Path("run"), column_types={"visits": "count"})
    kinds = {column.name: column.kind for column in run.record.data.columns}
    assert kinds["grade"] == "categorical"
    new = [rows[0], ["1", 1, 0.5], ["B", 1, 0.5], ["A", -2, "much"], ["2", 1, "inf"]]
    write("new.csv", new)
    write("alone.csv", new[:2])
    scored = run.score("new.csv", n_importance_samples=5, false_alarm_rate=0.2)
    assert scored.log_px[1:].tolist() == [-math.inf] * 3
    assert scored.log_px[0].item() == pytest.approx(scores(run, "alone.csv")[0], abs=1e-4)
    assert "grade is 'B'" in scored.outside[1]
    assert "visits is -2" in scored.outside[2]
    assert "x is 'much'" in scored.outside[2]
    assert "x is inf" in scored.outside[3]
    options = ["--false-alarm-rate", "0.2", "--n-importance-samples", "5"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["score", "run", "new.csv", "--out", "s.csv", *options])
    assert not stop.value.code
    with Path("s.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["log_px"] for row in table[1:]] == ["-inf"] * 3
    assert [bool(row["reason"]) for row in table] == [False, True, True, True]
    with pytest.raises(SystemExit) as stop:
        cli.main(["encode", "run", "new.csv", "--out", "codes.npy"])
    assert stop.value.code == 2
    out, line = capsys.readouterr()
    assert "3 examples have values that cannot occur in the training data" in out
    assert "column 'x' holds 'much' in row 2 counted from 0" in line
    assert "column 'visits' holds 1 value other than whole numbers from 0" in line
    assert "column 'grade' holds 'B' in row 1" in line
