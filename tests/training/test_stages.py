"""Two objectives, one after the other, in one training."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, ObjectiveConfig, TrainConfig
from aevb.errors import BadInput
from aevb.models.objectives import ELBO, IWAE, DReG, Objective, Staged, Weight
from aevb.models.vae import VAE
from aevb.rng import RNGStream, seeded
from aevb.runs.run_folder import RunFolder
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.training.history import History
from aevb.training.state import TrainingState
from aevb.workflow.fitting import fit_run
from tests.conftest import some

DATA = some("unit", (1, 8, 8), count=60)


def model_of(seed: int = 0) -> VAE:
    with seeded(seed, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig.model_validate({"hidden": (8,)}), DATA), DATA.shape)
    model.initialize(DATA.train.all().x)
    return model


def trained(
    objective: Objective, resume_from: TrainingState | None = None, **options: Any
) -> tuple[History, VAE, list[TrainingState]]:
    model, states = model_of(), list[TrainingState]()
    config = TrainConfig(**{"epochs": 6, "batch_size": 20, "compile": "off"} | options)
    history = fit(
        model, objective, DATA.train, DATA.valid, config, seed=1, resume_from=resume_from, on_state=states.append
    )
    return history, model, states


def weights(model: VAE) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"micro_batches": 2}])
def test_the_first_part_is_that_of_the_first_objective_and_the_second_continues(options: dict[str, Any]) -> None:
    """At a constant learning rate: states after four epochs of six, and the rest resumed by the second objective."""
    first, then = ELBO(1, Weight(1.0, 0.2)), DReG(3)
    options |= {"lr_schedule": "constant", "keep": "last"}
    history, model, states = trained(Staged(first, then, 0.66), **options)
    _, _, alone = trained(first, **options)
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]
    assert same(states[3].weights, alone[3].weights)
    rest, continued, _ = trained(then, alone[3], **options)
    assert same(weights(model), weights(continued))
    assert [epoch.train for epoch in history.epochs[4:]] == [epoch.train for epoch in rest.epochs]


def test_weights_are_chosen_in_the_last_part_alone() -> None:
    """The bounds of the two objectives are not compared."""
    history, _, states = trained(Staged(IWAE(20), ELBO(1), 0.5))
    assert [state.best.number > 0 for state in states] == [False, False, False, True, True, True]
    assert history.kept > 3


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_training_resumes_from_any_state(epochs: int) -> None:
    objective = Staged(ELBO(), IWAE(4), 0.4)
    whole, model, states = trained(objective, epochs=epochs)
    for state in states:
        again, resumed, _ = trained(objective, state, epochs=epochs)
        assert same(weights(model), weights(resumed))
        assert (again.kept, again.ended) == (whole.kept, whole.ended)


def test_stacked_models_change_their_objective_as_single_ones() -> None:
    objective, config = Staged(ELBO(), IWAE(4), 0.5), TrainConfig(epochs=4, batch_size=20)
    alone = [fit(model_of(seed), objective, DATA.train, DATA.valid, config, seed=seed) for seed in range(2)]
    jobs = [TrainingJob(model_of(seed), seed) for seed in range(2)]
    for single, together in zip(alone, fit_stacked(jobs, objective, DATA.train, DATA.valid, config), strict=True):
        assert together.kept == single.kept
        for one, other in zip(single.epochs, together.epochs, strict=True):
            assert other.train.loss == pytest.approx(one.train.loss, rel=1e-4)


def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    content = {
        "model": {"hidden": (8,)},
        "objective": {"then": "dreg", "then_n_samples": 3, "then_from": 0.5, "warmup": 0.2},
        "train": {"epochs": 4, "batch_size": 20},
    }
    config = Config.model_validate(content)
    whole = fit_run(config, tmp_path / "whole", DATA)
    for stop in (1, 2, 3):

        def interrupt(epoch: Any, stop: int = stop) -> None:
            if epoch.number == stop:
                raise KeyboardInterrupt

        folder = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            fit_run(config, folder, DATA, on_epoch=interrupt)
        again = fit_run(config, folder, DATA, resume=True)
        assert same(weights(RunFolder.load(tmp_path / "whole").model), weights(RunFolder.load(folder).model))
        outcomes = [run.outcome.model_copy(update={"seconds": 0}) for run in (again, whole) if run.outcome]
        assert outcomes[0] == outcomes[1]


def test_the_configuration_builds_it() -> None:
    config = ObjectiveConfig.model_validate({"then": "dreg", "then_n_samples": 5, "warmup": 0.3, "beta": 2.0})
    assert build_objective(config) == Staged(ELBO(1, Weight(2.0, 0.3)), DReG(5, Weight(2.0)), 0.5)


@pytest.mark.usefixtures("in_command")
@pytest.mark.parametrize("name", ["then_from", "then_n_samples"])
def test_options_of_no_second_objective_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=f"--objective.{name.replace('_', '-')} has no meaning without --objective.then"):
        build_objective(ObjectiveConfig.model_validate({name: 0.7 if name == "then_from" else 2}))


def test_the_configuration_of_a_run_builds_the_same() -> None:
    """It lists all options, also those that were not set."""
    for content in ({}, {"then": "iwae", "kind": "dreg"}):
        config = Config.model_validate({"objective": content})
        again = Config.model_validate_json(config.model_dump_json())
        assert build_objective(again.objective) == build_objective(config.objective)


def test_options_of_either_objective_are_accepted() -> None:
    config = ObjectiveConfig.model_validate({"kind": "iwae", "then": "elbo", "free_bits": 0.1})
    assert build_objective(config) == Staged(IWAE(50), ELBO(1, Weight(), free_bits=0.1), 0.5)
    with pytest.raises(BadInput, match="iwae or dreg"):
        build_objective(ObjectiveConfig.model_validate({"kind": "iwae", "then": "dreg", "free_bits": 0.1}))


def test_patience_counts_from_the_second_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default, training of 60 epochs ends early where steps of no length do not help."""
    monkeypatch.setattr("aevb.config.schema.WAIT", 6)
    monkeypatch.setattr("aevb.config.schema.STEPS", 180)
    history, _, _ = trained(Staged(ELBO(), ELBO(), 0.5), epochs=None, lr=1e-30)
    assert history.ended == "early"
    assert 30 < len(history.epochs) < 60


def test_an_autoencoder_has_one_objective() -> None:
    with pytest.raises(BadInput, match="no meaning for an autoencoder"):
        build_objective(ObjectiveConfig(then="dreg"), "point")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="elbo"):
        ObjectiveConfig(then="elbow")
