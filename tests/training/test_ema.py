"""Moving averages of the weights: what they are, who sees them, and that a run that was cut off finds them again."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from aevb.config.schema import Config, TrainConfig
from aevb.data import Dataset
from aevb.errors import NonFinite
from aevb.models.objectives import ELBO
from aevb.models.vae import VAE
from aevb.training.ema import EMA
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.training.history import Epoch
from aevb.training.state import TrainingState
from aevb.training.validation import sufficient_repeats, validate
from aevb.workflow.fitting import fit_run, fit_runs
from tests.runs.test_resume import MODEL, cut_off, data, end, press, resume
from tests.runs.test_resume import config as resumed_config
from tests.training.test_fit import same, small, state

CONV = {"network": "conv", "hidden": None, "channels": (4,)}
DECAY = 0.6  # reached after the sixth step: (1 + 6) / (10 + 6) = 0.44, ..., (1 + 13) / (10 + 13) = 0.61


def trained(stripes: Dataset, model: VAE, **options: Any) -> list[TrainingState]:
    states: list[TrainingState] = []
    config = TrainConfig.model_validate({"epochs": 5, "batch_size": 20} | options)
    fit(model, ELBO(), stripes.train, stripes.valid, config, seed=1, on_state=states.append)
    return states


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_formula(stripes: Dataset, kind: str) -> None:
    """Of the weights after each step, and of the statistics of batch normalisation; in float64."""
    model = small(stripes, **(CONV if kind == "conv" else {}))
    expected = {name: tensor.double() for name, tensor in state(model).items()}
    steps = 0

    def fold() -> None:
        nonlocal steps
        steps += 1
        share = min(DECAY, (1 + steps) / (10 + steps))
        for name, tensor in model.state_dict().items():
            expected[name] = share * expected[name] + (1 - share) * tensor.double()

    kept: list[TrainingState] = []
    config = TrainConfig(epochs=5, batch_size=20, ema=DECAY, keep="last")
    fit(model, ELBO(), stripes.train, config=config, on_step=fold, on_state=kept.append)
    assert steps == 20
    for name, tensor in kept[-1].averages.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)
            assert torch.equal(model.state_dict()[name], tensor)
    assert not same(kept[-1].weights, kept[-1].averages)


def test_the_initial_value_is_forgotten_quickly() -> None:
    """However long the memory is to be: 0.999 alone would leave nine tenths of it after so many steps."""
    tensor = torch.ones(3)
    averages = EMA([tensor], 0.999)
    tensor.zero_()
    for step in range(1, 101):
        averages.update(step)
    assert 0 < averages.values[0].max() < 1e-11


def test_training_continues_with_the_weights(stripes: Dataset) -> None:
    plain, averaged = (trained(stripes, small(stripes, **CONV), ema=ema) for ema in (None, DECAY))
    for one, other in zip(plain, averaged, strict=True):
        assert same(one.weights, other.weights)
        assert not one.averages


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_averages_are_measured_and_kept(stripes: Dataset, keep: str) -> None:
    model, epochs, seen = small(stripes, **CONV), list[Epoch](), list[dict[str, Tensor]]()

    def look(epoch: Epoch) -> None:
        epochs.append(epoch)
        seen.append(state(model))

    config = TrainConfig.model_validate({"epochs": 12, "batch_size": 10, "lr": 0.3, "ema": DECAY, "keep": keep})
    states: list[TrainingState] = []
    history = fit(
        model, ELBO(), stripes.train, stripes.valid, config, on_epoch=look, on_state=states.append
    )  # fmt: skip
    kept = states[history.kept - 1]
    assert same(state(model), kept.averages)
    assert all(same(one, reached.averages) for one, reached in zip(seen, states, strict=True))
    valid = epochs[history.kept - 1].valid
    repeats = sufficient_repeats(len(stripes.train), len(stripes.valid))
    assert valid == validate(model, ELBO(), stripes.valid, repeats=repeats)
    if keep == "best":
        assert same(states[-1].best.weights, kept.averages)
    model.load_state_dict(kept.weights)
    assert valid != validate(model, ELBO(), stripes.valid, repeats=repeats)


@pytest.mark.slow
def test_averages_are_better_where_weights_oscillate(stripes: Dataset) -> None:
    """At a rate that does not fall: on average over the last ten epochs, measured on what is held out."""
    for seed in range(3):
        model, bounds = small(stripes), list[tuple[float, float]]()
        config = TrainConfig(epochs=60, batch_size=10, lr=0.03, lr_schedule="constant", ema=0.95)
        states: list[TrainingState] = []
        fit(model, ELBO(), stripes.train, config=config, seed=seed, on_state=states.append)
        for reached in states[-10:]:
            found = []
            for weights in (reached.weights, reached.averages):
                model.load_state_dict(weights)
                found.append(validate(model, ELBO(), stripes.valid).bound)
            bounds.append((found[0], found[1]))
        raw, averaged = torch.tensor(bounds).mean(0).tolist()
        assert averaged > raw


@pytest.mark.parametrize("after", [2, 7])
def test_ctrl_c_leaves_the_averages(stripes: Dataset, after: int) -> None:
    model, states = small(stripes), list[TrainingState]()
    config = TrainConfig(epochs=1000, batch_size=20, ema=DECAY, keep="last")
    history = fit(model, ELBO(), stripes.train, config=config, on_step=press(after), on_state=states.append)
    assert history.ended == "interrupted"
    assert states[-1].position
    assert same(state(model), states[-1].averages)
    assert not same(state(model), states[-1].weights)


def test_an_error_leaves_the_averages(stripes: Dataset) -> None:
    model, states = small(stripes), list[TrainingState]()

    def fail(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=9, batch_size=20, ema=DECAY), on_epoch=fail,
            on_state=states.append)  # fmt: skip
    assert len(states) == 2
    assert not any(same(state(model), weights) for weights in (states[-1].averages, states[-1].weights))


def test_averages_are_restored_after_a_number_that_is_not_finite(stripes: Dataset) -> None:
    """The averages are taken back with the weights."""
    model, states = small(stripes), list[TrainingState]()
    before = state(model)
    config = TrainConfig(epochs=3, batch_size=10, lr=1e38, ema=DECAY)
    with pytest.raises(NonFinite):
        fit(model, ELBO(), stripes.train, stripes.valid, config, on_state=states.append)
    assert not states
    assert same(before, state(model))


def test_averages_of_stacked_models(stripes: Dataset) -> None:
    config = TrainConfig(epochs=4, batch_size=20, ema=DECAY, keep="last")
    alone, together = ([small(stripes) for _ in range(2)] for _ in range(2))
    for seed, model in enumerate(alone):
        fit(model, ELBO(), stripes.train, stripes.valid, config, seed=seed)
    states: list[TrainingState] = []
    members = [TrainingJob(model, seed, on_state=states.append) for seed, model in enumerate(together)]
    fit_stacked(members, ELBO(), stripes.train, stripes.valid, config)
    for one, other, last in zip(alone, together, states[-2:], strict=True):
        assert same(state(other), last.averages)
        for name, tensor in state(one).items():
            torch.testing.assert_close(last.averages[name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"keep": "last"}, {"lr": 0.03, "patience": 5, "epochs": 30}])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    """Within its first epoch, and within its sixth."""
    chosen = resumed_config(ema=0.9, **options)
    fit_run(chosen, tmp_path / "whole", data())
    for after in (2, 17):
        folder = tmp_path / str(after)
        cut_off(folder, chosen, after)
        parts = {name.partition(".")[0] for name in load_file(folder / "checkpoint.safetensors")}
        assert {"model", "averages", "optimizer", "within"} <= parts
        resume(folder, chosen)
        assert end(folder) == end(tmp_path / "whole")


@pytest.mark.slow
def test_interrupted_stacked_runs_resume_bit_for_bit(tmp_path: Path) -> None:
    train = {"epochs": 20, "batch_size": 10, "ema": 0.9}
    for name, steps in (("whole", []), ("run", [31, 2, 10])):
        places = [
            (
                Config.model_validate({"model": {"hidden": [4]}, "train": train, "seed": seed}),
                tmp_path / f"{name}{seed}",
            )
            for seed in range(2)
        ]
        for after in [*steps, 10_000]:
            runs = fit_runs(places, data(), resume=True, on_step=press(after))
    for seed, run in enumerate(runs):
        assert end(run.folder) == end(tmp_path / f"whole{seed}")


def test_a_checkpoint_without_averages_has_no_entry_for_them(tmp_path: Path) -> None:
    cut_off(tmp_path / "run", resumed_config())
    names = load_file(tmp_path / "run" / "checkpoint.safetensors")
    assert {name.partition(".")[0] for name in names} == {"model", "best", "optimizer", "within"}


@pytest.mark.parametrize("decay", [0, 1, -0.5, 1.5])
def test_other_decays_are_refused(decay: float) -> None:
    with pytest.raises(ValidationError, match="ema"):
        Config.model_validate({"model": MODEL, "train": {"ema": decay}})
