"""Captured steps: the same noise gives the same numbers as in eager mode, for one model and for several."""

import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, ObjectiveConfig, TrainConfig
from aevb.data import Dataset
from aevb.errors import BadInput, NonFinite, Notice
from aevb.models.batch import Batch
from aevb.models.objectives import ELBO, Objective
from aevb.models.registry import register
from aevb.models.vae import VAE
from aevb.rng import RNGStream, generator, seeded
from aevb.training import compilation, policy
from aevb.training.capture import (
    CapturedStep,
    CaptureError,
    capture_step,
    is_repeatable,
    parameters_and_buffers,
    progress_tensor,
)
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.training.history import Epoch
from aevb.training.optimizer import OPTIMIZERS
from aevb.training.policy import worth_stacking
from aevb.workflow.fitting import fit_run, fit_runs
from tests.conftest import mostly_slow, some
from tests.models.test_contracts import data_for

COMBINATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *(({"posterior": name}, {}) for name, posterior in register.posterior.items() if posterior.has_density),
    *(({"prior": name}, {}) for name in register.prior),
    *(({"likelihood": name}, {}) for name in register.likelihood),
    *(({}, {"kind": name}) for name in register.objective),
    ({"activation": "glu", "norm": "layer"}, {}),
    ({"block": "residual", "norm": "layer", "latent": (3, 2)}, {}),
    ({"latent": (3, 2)}, {"kind": "dreg", "n_samples": 3}),
    ({"latent": (3, 2), "posterior": "full"}, {"free_bits": 0.1}),
    ({}, {"beta": 2, "warmup": 0.6, "cycles": 2}),
]


def model_of(dataset: Dataset, seed: int = 0, **options: Any) -> VAE:
    options = {"hidden": (6,), "latent": 2} | options
    if options.get("prior") in ("mixture", "vamp"):
        options["components"] = 3
    with seeded(seed, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig.model_validate(options), dataset), dataset.shape, dataset.columns)
        model.initialize(dataset.train.all().x)
    return model.train()


def run_eager(model: VAE, objective: Objective, x: Tensor, seed: int) -> list[Tensor]:
    """The means of the terms, and the gradients."""
    model.zero_grad()
    with seeded(seed, RNGStream.EPOCH):
        row = torch.stack(objective(model.trace(x, objective.n_samples), 0.3)).mean(1)
    row[0].backward()
    return [row.detach(), *(torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters())]


def run_captured(step: CapturedStep, state: list[Tensor], x: Tensor, noise: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return list(step.run(*state, x, *noise, progress_tensor(0.3, x.device)))


@pytest.mark.parametrize(
    ("model_options", "objective_options"),
    [pytest.param(*pair, marks=() if index < 2 else pytest.mark.slow) for index, pair in enumerate(COMBINATIONS)],
)
def test_a_captured_step_has_the_same_gradients(
    model_options: dict[str, Any], objective_options: dict[str, Any]
) -> None:
    dataset = data_for(model_options.get("likelihood", "gaussian"), (3,))
    models = [model_of(dataset, seed, **model_options) for seed in range(3)]
    config = ObjectiveConfig.model_validate({"n_samples": 2} | objective_options)
    objective = build_objective(config, "diagonal")
    x = torch.stack([dataset.train.batch(slice(5 * index, 5 * index + 5)).x for index in range(3)])
    expected = [
        run_eager(model, objective, batch, seed) for seed, (model, batch) in enumerate(zip(models, x, strict=True))
    ]

    step = capture_step(models[0], objective, Batch(x[0]))
    assert isinstance(step.run, fx.GraphModule)
    assert "detach" not in step.run.code  # it is simplified
    streams = [generator(seed, RNGStream.EPOCH) for seed in range(3)]
    noise = [torch.stack([tensor.draw(stream) for stream in streams]) for tensor in step.noise]
    alone = run_captured(step, parameters_and_buffers(models[0]), x[0], [tensor[0] for tensor in noise])
    for actual, right in zip(alone, expected[0], strict=True):
        torch.testing.assert_close(actual, right)

    inputs = [
        *parameters_and_buffers(models[0]), x[0], *(tensor[0] for tensor in noise), progress_tensor(0.5, x.device)
    ]  # fmt: skip
    state = [torch.stack(tensors) for tensors in zip(*map(parameters_and_buffers, models), strict=True)]
    together = run_captured(step.stacked(inputs, 3), state, x, noise)
    for stacked, *each in zip(together, *expected, strict=True):
        torch.testing.assert_close(stacked, torch.stack(each), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("model_options", "objective_options"), COMBINATIONS)
def test_steps_of_all_pieces_are_captured_by_default(
    model_options: dict[str, Any], objective_options: dict[str, Any]
) -> None:
    model = model_of(data_for(model_options.get("likelihood", "gaussian"), (3,)), **model_options)
    assert is_repeatable(model, build_objective(ObjectiveConfig.model_validate(objective_options), "diagonal"))


class Chooser(nn.Module):
    """A network that reads the value of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("layer", "reason"),
    [(nn.BatchNorm1d(3), "changes its buffers"), (nn.Dropout(0.5), "random numbers"), (Chooser(), "data")],
)
def test_a_step_that_cannot_be_captured_is_trained_in_eager_mode(layer: nn.Module, reason: str) -> None:
    dataset = some("real", (3,))
    model = model_of(dataset)
    model.encoder = nn.Sequential(layer, model.encoder)
    with pytest.raises(CaptureError, match=reason) as refusal:
        capture_step(model, ELBO(), dataset.train.batch(slice(0, 5)))
    assert "\n" not in str(refusal.value)
    with pytest.warns(Notice, match="not compiled"):
        history = fit(model, ELBO(), dataset.train, config=TrainConfig(epochs=1, compile="on"))
    assert len(history.epochs) == 1


@pytest.mark.parametrize("optimizer", mostly_slow(OPTIMIZERS, 2))
@pytest.mark.parametrize(
    "options", [{}, {"clip_grad_norm": 0.5, "weight_decay": 0.1, "bias_lr_factor": 2.0, "keep": "last"}]
)
def test_stacked_models_train_as_single_ones(stripes: Dataset, optimizer: Any, options: dict[str, Any]) -> None:
    config = TrainConfig(epochs=4, batch_size=20, optimizer=optimizer, **options)
    objective = build_objective(ObjectiveConfig(warmup=0.5), "diagonal")
    alone, together = ([model_of(stripes, seed) for seed in range(3)] for _ in range(2))
    expected = [
        fit(model, objective, stripes.train, stripes.valid, config, seed=seed) for seed, model in enumerate(alone)
    ]
    jobs = [TrainingJob(model, seed) for seed, model in enumerate(together)]
    found = fit_stacked(jobs, objective, stripes.train, stripes.valid, config)
    for one, other in zip(alone, together, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-4, atol=1e-5)
        assert not other.training
    for right, history in zip(expected, found, strict=True):
        assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4]
        assert history.kept == right.kept
        for epoch, same in zip(history.epochs, right.epochs, strict=True):
            assert epoch.valid is not None
            assert same.valid is not None
            assert epoch.train.loss == pytest.approx(same.train.loss, rel=1e-4)
            assert epoch.valid.bound == pytest.approx(same.valid.bound, rel=1e-4)


def test_resampled_values_are_the_same_in_stacked_models() -> None:
    dataset = Config.model_validate({"data": {"source": "digits", "binarize": "resampled"}}).data
    from aevb.data import load_data

    digits = load_data(**dataset.model_dump())
    config = TrainConfig(epochs=1)
    alone, together = ([model_of(digits, seed) for seed in range(2)] for _ in range(2))
    expected = [fit(model, ELBO(), digits.train, config=config, seed=seed) for seed, model in enumerate(alone)]
    found = fit_stacked(
        [TrainingJob(model, seed) for seed, model in enumerate(together)], ELBO(), digits.train, config=config
    )
    for right, history in zip(expected, found, strict=True):
        assert history.epochs[0].train.loss == pytest.approx(right.epochs[0].train.loss, rel=1e-5)


def test_models_have_memory_of_their_own_after_stacked_training(stripes: Dataset) -> None:
    models = [model_of(stripes, seed) for seed in range(2)]
    jobs = [TrainingJob(model, seed) for seed, model in enumerate(models)]
    fit_stacked(jobs, ELBO(), stripes.train, config=TrainConfig(epochs=1))
    for tensor in (*models[0].parameters(), *models[0].buffers()):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    before = [p.clone() for p in models[1].parameters()]
    with torch.no_grad():
        for p in models[0].parameters():
            p.zero_()
    assert all(torch.equal(p, old) for p, old in zip(models[1].parameters(), before, strict=True))


def test_one_diverging_model_undoes_the_epoch_of_all(stripes: Dataset) -> None:
    models = [model_of(stripes, seed) for seed in range(2)]
    with torch.no_grad():
        next(models[1].decoder.parameters()).fill_(torch.inf)
    before = [p.clone() for p in models[0].parameters()]
    with pytest.raises(NonFinite):
        fit_stacked([TrainingJob(model) for model in models], ELBO(), stripes.train, config=TrainConfig(epochs=2))
    assert all(torch.equal(p, old) for p, old in zip(models[0].parameters(), before, strict=True))


def test_stacked_models_with_patience_are_refused(stripes: Dataset) -> None:
    jobs = [TrainingJob(model_of(stripes, seed)) for seed in range(2)]
    with pytest.raises(BadInput, match="one after another"):
        fit_stacked(jobs, ELBO(), stripes.train, stripes.valid, TrainConfig(epochs=2, patience=1, keep="last"))


def test_stacked_models_stop_when_they_would_alone(stripes: Dataset) -> None:
    """At a rate this high the bound goes up and down, so the models stop at different epochs."""
    config = TrainConfig(epochs=60, batch_size=10, lr=0.1, patience=4)
    alone = []
    for seed in range(3):
        model = model_of(stripes, seed)
        alone.append(fit(model, ELBO(), stripes.train, stripes.valid, config, seed=seed))
    jobs = [TrainingJob(model_of(stripes, seed), seed) for seed in range(3)]
    together = fit_stacked(jobs, ELBO(), stripes.train, stripes.valid, config)
    assert len({len(history.epochs) for history in alone}) > 1
    assert any(len(history.epochs) > history.kept + 4 for history in alone), "no model has a cooldown of its own"
    assert [history.kept for history in together] == [history.kept for history in alone]
    assert [len(history.epochs) for history in together] == [len(history.epochs) for history in alone]
    assert {history.ended for history in together} == {"early"}


def test_large_models_are_not_stacked() -> None:
    dataset = some("real", (3,))
    objective, config = ELBO(), TrainConfig()
    assert worth_stacking(model_of(dataset), objective, dataset.train, config)
    assert not worth_stacking(model_of(dataset), objective, dataset.train, TrainConfig(patience=2, keep="last"))
    assert not worth_stacking(model_of(dataset, hidden=(2000, 2000)), objective, dataset.train, config)


def test_stacked_runs_are_like_single_ones_and_resume(tmp_path: Path, stripes: Dataset) -> None:
    def places(name: str, epochs: int) -> list[tuple[Config, Path]]:
        content = {"model": {"hidden": [6]}, "train": {"epochs": epochs, "lr_schedule": "constant", "keep": "last"}}
        return [(Config.model_validate(content | {"seed": seed}), tmp_path / name / str(seed)) for seed in (3, 4)]

    whole = fit_runs(places("whole", 6), stripes)

    def cut(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_runs(places("cut", 6), stripes, on_epoch=cut)
    again = fit_runs(places("cut", 6), stripes, resume=True)
    for one, other, (config, folder) in zip(whole, again, places("whole", 6), strict=True):
        alone = fit_run(config, folder.parent / f"alone-{folder.name}", stripes)
        assert [epoch.number for epoch in other.epochs] == [1, 2, 3, 4, 5, 6]
        for name, tensor in one.model.state_dict().items():
            assert torch.equal(tensor, other.model.state_dict()[name])
            torch.testing.assert_close(tensor, alone.model.state_dict()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_without_a_compiler_training_continues_with_a_notice(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "aevb",
        "train",
        "digits",
        "--out",
        "run",
        "--model.hidden",
        "4",
        "--train.epochs",
        "1",
    ]
    surroundings = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--n-importance-samples", "1", "--train.compile", "on"],
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "compil" in line)
    assert line.startswith("aevb: training is not compiled: the compiler failed: ")


def test_auto_compiles_only_long_trainings(stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[bool]()

    def spy(*_: object, compiled: bool, **__: object) -> None:
        asked.append(compiled)
        raise CaptureError("enough")

    monkeypatch.setattr(policy, "CapturedBackend", spy)
    monkeypatch.setattr(policy, "CAPTURE_FROM_STEPS", 16)
    monkeypatch.setattr(policy, "COMPILE_FROM_STEPS", 20)
    for epochs in (3, 4, 5):  # of 4 steps
        fit(model_of(stripes), ELBO(), stripes.train, config=TrainConfig(epochs=epochs, batch_size=20))
    assert asked == [False, True, False]  # what cannot be compiled is captured alone


def test_foreign_modules_run_at_every_step(stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their code may behave differently at each call, which a captured step would not."""
    monkeypatch.setattr(policy, "CAPTURE_FROM_STEPS", 1)
    calls = list[int]()

    class Counting(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return x

    hooked, counting = model_of(stripes), model_of(stripes)
    hooked.encoder.register_forward_hook(lambda *_: calls.append(1))
    counting.encoder = nn.Sequential(counting.encoder, Counting())
    for model in (hooked, counting):
        calls.clear()
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=1, batch_size=20))  # 4 steps
        assert len(calls) >= 4


@pytest.mark.parametrize("least", [1, 10**6])
@pytest.mark.parametrize("count", [1, 2])
def test_frozen_weights_do_not_change(
    least: int, count: int, stripes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "CAPTURE_FROM_STEPS", least)
    models = [model_of(stripes, seed) for seed in range(count)]
    for model in models:
        model.decoder.requires_grad_(False)
    before = [[weight.clone() for weight in model.parameters()] for model in models]
    config = TrainConfig(epochs=2, batch_size=20, weight_decay=0.1)
    fit_stacked([TrainingJob(model, seed) for seed, model in enumerate(models)], ELBO(), stripes.train, config=config)
    for model, old in zip(models, before, strict=True):
        changed = [not torch.equal(*pair) for pair in zip(model.parameters(), old, strict=True)]
        assert changed == [weight.requires_grad for weight in model.parameters()]


def test_captured_steps_give_the_same_numbers(stripes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for least in (1, 10**6):
        monkeypatch.setattr(policy, "CAPTURE_FROM_STEPS", least)
        history = fit(model_of(stripes), ELBO(), stripes.train, stripes.valid, TrainConfig(epochs=5, batch_size=20))
        found.append([epoch.train.loss for epoch in history.epochs])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"clip_grad_norm": 0.5},
        {"bias_correction": "off"},
        *({"optimizer": name} for name in OPTIMIZERS if name != "adam"),
    ],
)
def test_compiled_steps_give_the_same_numbers(stripes: Dataset, count: int, more: dict[str, Any]) -> None:
    """With the update, weight decay and moving averages; clipped gradients are compiled without the update."""
    found = {}
    for mode in ("on", "off"):
        options = {"epochs": 5, "batch_size": 20, "compile": mode, "weight_decay": 0.1, "ema": 0.9, "bias_lr_factor": 2}
        models = [model_of(stripes, seed) for seed in range(count)]
        jobs = [TrainingJob(model, seed) for seed, model in enumerate(models)]
        config = TrainConfig.model_validate(options | more)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Notice)
            histories = fit_stacked(jobs, ELBO(), stripes.train, stripes.valid, config)
        losses = [epoch.train.loss for history in histories for epoch in history.epochs]
        found[mode] = [
            *losses,
            *(weight for model in models for p in model.parameters() for weight in p.flatten().tolist()),
        ]
    assert found["on"] == pytest.approx(found["off"], rel=1e-4, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("model_options", "objective_options"), COMBINATIONS, ids=str)
def test_every_captured_step_can_be_compiled(model_options: dict[str, Any], objective_options: dict[str, Any]) -> None:
    dataset = data_for(model_options.get("likelihood", "gaussian"), (3,))
    objective = build_objective(ObjectiveConfig.model_validate({"n_samples": 2} | objective_options), "diagonal")
    found = []
    for mode in ("on", "off"):
        model = model_of(dataset, **model_options)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Notice)
            history = fit(model, objective, dataset.train, config=TrainConfig(epochs=2, batch_size=20, compile=mode))
        found.append([epoch.train.loss for epoch in history.epochs])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_compiled_training_resumes_bit_for_bit(tmp_path: Path, stripes: Dataset, optimizer: str) -> None:
    train = {"epochs": 4, "compile": "on", "keep": "last", "optimizer": optimizer}
    content: dict[str, dict[str, object]] = {"model": {"hidden": [6]}, "train": train}

    def cut(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    whole = fit_run(Config.model_validate(content), tmp_path / "whole", stripes)
    with pytest.raises(KeyboardInterrupt):
        fit_run(Config.model_validate(content), tmp_path / "cut", stripes, on_epoch=cut)
    resumed = fit_run(Config.model_validate(content), tmp_path / "cut", stripes, resume=True)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])


@pytest.mark.slow
def test_a_graph_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A graph that differs in the value of a constant alone is another graph."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    x = torch.arange(6.0).view(2, 3)
    for number, count in ((2.0, 1), (2.0, 1), (3.0, 2)):
        constant = torch.tensor([number] * 3)
        graph = fx.symbolic_trace(_Scaled(constant))
        (result,) = compilation.compiled_graph(graph, [x])(x)
        assert torch.equal(result, x * number)
        assert len([*(tmp_path / "aevb").iterdir()]) == count


class _Scaled(nn.Module):
    """A product with a constant."""

    constant: Tensor

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x * self.constant,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("count", [1, 3])
def test_captured_steps_give_the_same_numbers_on_a_gpu(
    stripes: Dataset, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "CAPTURE_FROM_STEPS", 1)
    found = []
    for together in (True, False):
        models = [model_of(stripes, seed).cuda() for seed in range(count)]
        jobs = [TrainingJob(model, seed) for seed, model in enumerate(models)]
        teams = [jobs] if together else [[member] for member in jobs]
        config = TrainConfig(epochs=5, batch_size=20, compile="auto" if together else "off")
        histories = [h for team in teams for h in fit_stacked(team, ELBO(), stripes.train, stripes.valid, config)]
        found.append([epoch.train.loss for history in histories for epoch in history.epochs])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_a_small_step_uses_one_thread_and_a_container_no_more_than_it_has(
    stripes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[int]()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    fit(model_of(stripes), ELBO(), stripes.train, config=TrainConfig(epochs=1))
    assert seen == [1, 4]
    for share, number in ((math.inf, 4), (1.5, 2)):
        monkeypatch.setattr(policy, "quota", lambda share=share: share)
        seen.clear()
        fit(model_of(stripes, hidden=(400, 400)), ELBO(), stripes.train, config=TrainConfig(epochs=1))
        assert seen == [number, 4]
