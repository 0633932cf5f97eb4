"""The loop: repeatable, blind to the test part, and safe against Ctrl-C and numbers that are not finite."""

import copy
import os
import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import LONG_LR, LR, ModelConfig, TrainConfig
from aevb.data import Dataset, Examples
from aevb.errors import BadInput, NonFinite
from aevb.models.objectives import ELBO, Terms, Weight
from aevb.models.vae import VAE, Trace
from aevb.rng import RNGStream, seeded
from aevb.training.backends.base import trainable_parameters
from aevb.training.fit import fit
from aevb.training.history import Epoch, History
from aevb.training.nonfinite import first_non_finite
from aevb.training.optimizer import OPTIMIZERS, build_optimizer, decay_weights, layer_weights, learning_rates
from aevb.training.state import TrainingState
from aevb.training.validation import sufficient_repeats, validate
from tests.conftest import mostly_slow

pytestmark = pytest.mark.usefixtures("in_command")  # messages name options as a command does


def small(dataset: Dataset, **options: Any) -> VAE:
    options = {"hidden": (8,)} | options
    with seeded(0, RNGStream.WEIGHTS):
        model = build(resolve(ModelConfig.model_validate(options), dataset), dataset.shape)
    model.initialize(dataset.train.all().x)
    return model


def state(model: VAE) -> dict[str, Tensor]:
    return copy.deepcopy(model.state_dict())


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("objective", mostly_slow([ELBO(), ELBO(3)]))
def test_every_optimizer_improves_the_bound(stripes: Dataset, optimizer: Any, objective: ELBO) -> None:
    model, lr = small(stripes), {"adagrad": 0.05, "sgd": 3e-3}.get(optimizer, 1e-2)
    before = validate(model, objective, stripes.valid).bound
    history = fit(
        model,
        objective,
        stripes.train,
        stripes.valid,
        TrainConfig(epochs=60, batch_size=20, optimizer=optimizer, lr=lr),
    )
    assert validate(model, objective, stripes.valid).bound > before + 5
    assert [epoch.number for epoch in history.epochs] == list(range(1, 61))


def test_same_seed_same_weights_other_seed_other_weights(stripes: Dataset) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(torch.seed() % 2**32)  # whatever the global generator says
        model = small(stripes)
        fit(model, ELBO(), stripes.train, stripes.valid, TrainConfig(epochs=3, batch_size=16), seed=seed)
        weights.append(state(model))
    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


def test_the_global_generator_is_restored(stripes: Dataset) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit(small(stripes), ELBO(), stripes.train, stripes.valid, TrainConfig(epochs=2))
    torch.testing.assert_close(torch.rand(2), expected)


@dataclass
class Spy:
    """An objective that notes the examples it sees."""

    n_samples: int = 1

    def __post_init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        if torch.is_grad_enabled():
            self.seen.append(trace.x)
        return ELBO()(trace)


def test_an_epoch_is_full_batches_of_a_fresh_permutation(stripes: Dataset) -> None:
    train, spy = Examples(torch.arange(25.0).view(25, 1)), Spy()
    model = small(replace(stripes, shape=(1,), kind="real", train=train))
    fit(model, spy, train, config=TrainConfig(epochs=3, batch_size=10))
    assert [len(x) for x in spy.seen] == [10] * 6
    epochs = [torch.cat(spy.seen[i : i + 2]).flatten() for i in (0, 2, 4)]
    assert all(len(epoch.unique()) == 20 for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_a_batch_is_never_larger_than_the_set(stripes: Dataset) -> None:
    spy = Spy()
    fit(small(stripes), spy, stripes.train, config=TrainConfig(epochs=2, batch_size=1000))
    assert [len(x) for x in spy.seen] == [80, 80]


def test_training_never_sees_held_out_examples(stripes: Dataset) -> None:
    spy = Spy()
    fit(small(stripes), spy, stripes.train, stripes.valid, TrainConfig(epochs=2, batch_size=8))
    seen = {tuple(row.tolist()) for x in spy.seen for row in x.flatten(1)}
    for part in (stripes.valid, stripes.test):
        assert not seen & {tuple(row.tolist()) for row in part.all().x.flatten(1)}


def test_resampled_data_are_sampled_in_each_epoch(stripes: Dataset) -> None:
    spy, train = Spy(), replace(stripes.train, resampled=True)
    fit(small(replace(stripes, kind="binary")), spy, train, config=TrainConfig(epochs=2, batch_size=80))
    first, second = (x.flatten(1).sum(0) for x in spy.seen)
    assert set(spy.seen[0].unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)


def test_the_best_weights_are_kept_if_configured(stripes: Dataset) -> None:
    """At a rate this high the bound goes up and down, so the best epoch is not the last one."""
    kept = {}
    for keep in ("best", "last"):
        model = small(stripes)
        config = TrainConfig(epochs=30, batch_size=10, lr=0.3, keep=keep)
        history = fit(model, ELBO(), stripes.train, stripes.valid, config)
        kept[keep] = history.kept
        bounds = [epoch.valid.bound for epoch in history.epochs if epoch.valid]
        repeats = sufficient_repeats(len(stripes.train), len(stripes.valid))
        assert validate(model, ELBO(), stripes.valid, repeats=repeats).bound == pytest.approx(bounds[history.kept - 1])
        if keep == "best":
            assert bounds[history.kept - 1] == max(bounds)
    assert kept["best"] < kept["last"] == 30


def test_training_has_no_denormal_numbers(stripes: Dataset) -> None:
    """They would be the moments of weights without a gradient, such as those of units that are never active."""
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU has no such mode")
    torch.set_flush_denormal(False)
    smallest, seen = torch.tensor(1.2e-38), list[float]()
    fit(
        small(stripes), ELBO(), stripes.train, config=TrainConfig(epochs=1),
        on_step=lambda: seen.append((smallest / 2).item()),
    )  # fmt: skip
    assert set(seen) == {0.0}
    assert (smallest / 2).item() > 0  # the mode ends with training


def test_weights_are_chosen_by_the_loss_that_is_minimized(stripes: Dataset) -> None:
    """With weight 8 of the rate, the bound and the loss are best at different epochs for most seeds."""
    objective, config = ELBO(weight=Weight(8.0)), TrainConfig(epochs=30, batch_size=10, lr=0.05)
    lost = []
    for seed in range(5):
        history = fit(small(stripes), objective, stripes.train, stripes.valid, config, seed=seed)
        valid = [epoch.valid for epoch in history.epochs if epoch.valid]
        kept = valid[history.kept - 1]
        assert kept.loss == min(metrics.loss for metrics in valid)
        lost.append(max(metrics.bound for metrics in valid) - kept.bound)
    assert max(lost) > 0.01


@pytest.mark.parametrize(
    ("weight", "first"), [(Weight(1.0, 0.5), 11), (Weight(1.0, 0.5, 2), 16), (Weight(1.0, 1.0), 20)]
)
def test_no_weights_are_chosen_during_warm_up(stripes: Dataset, weight: Weight, first: int) -> None:
    """The rate of 0.5 makes the bound worse after the first epochs."""
    config = TrainConfig(epochs=20, batch_size=10, lr=0.5, lr_schedule="constant")
    assert fit(small(stripes), ELBO(weight=weight), stripes.train, stripes.valid, config).kept >= first
    config = config.model_copy(update={"patience": 2})
    ended = fit(small(stripes), ELBO(weight=weight), stripes.train, stripes.valid, config)
    assert ended.epochs[-1].number >= first


def test_few_validation_examples_are_evaluated_several_times(stripes: Dataset) -> None:
    assert [sufficient_repeats(*counts) for counts in ((1258, 180), (50_000, 10_000), (54, 6), (10, 10))] == [
        6,
        1,
        9,
        1,
    ]
    model = small(stripes)
    bounds = torch.tensor(
        [
            [validate(model, ELBO(), stripes.valid, seed=seed, repeats=repeats).bound for seed in range(100)]
            for repeats in (1, 9)
        ]
    )
    noise = bounds.std(1)
    assert 2 < noise[0] / noise[1] < 4.5


def test_pseudo_inputs_of_images_are_learned(stripes: Dataset) -> None:
    """A flattened weight is what the encoder sees first."""
    model = small(stripes, prior="vamp", components=3)
    before = state(model)
    fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=2, batch_size=20))
    assert not torch.equal(before["prior.inputs"], model.state_dict()["prior.inputs"])


def test_patience_stops(stripes: Dataset) -> None:
    config = TrainConfig(epochs=500, batch_size=10, lr=0.3, patience=4, lr_schedule="constant")
    history = fit(small(stripes), ELBO(), stripes.train, stripes.valid, config)
    assert history.ended == "early"
    assert len(history.epochs) == history.kept + 4 < 500


@pytest.mark.parametrize("ema", [None, 0.9])
def test_after_patience_the_rate_falls_from_the_best_weights(stripes: Dataset, ema: float | None) -> None:
    """The weights of the cooldown's first epoch are one epoch from the best ones, and the best of all are kept."""
    config = TrainConfig(epochs=500, batch_size=10, lr=0.3, patience=4, lr_decay=0.5, ema=ema)
    states: list[TrainingState] = []
    history = fit(small(stripes), ELBO(), stripes.train, stripes.valid, config, on_state=states.append)
    start = next(state for state in states if state.cooldown)
    cooldown, best = start.cooldown, states[states.index(start) - 4].best if start.cooldown else None
    assert cooldown
    assert best
    assert (history.ended, states[-1].number) == ("early", cooldown.end)
    assert cooldown.start == start.number == best.number + 4
    assert cooldown.end - cooldown.start == max(1, round(best.number / 2))
    assert same(start.weights, best.weights)
    assert {state.cooldown for state in states if state.number >= start.number} == {cooldown}
    assert states[-1].best.merit >= best.merit


def test_a_cooldown_ends_nearer_to_the_optimum_than_patience_alone(stripes: Dataset) -> None:
    """A high rate makes the weights jump around the optimum: it never ends worse, and for one of four seeds better."""
    gains = []
    for seed in range(4):
        merits = []
        for schedule in ("constant", "linear"):
            config = TrainConfig(epochs=500, batch_size=10, lr=0.1, patience=6, lr_schedule=schedule, lr_decay=0.5)
            states: list[TrainingState] = []
            fit(small(stripes), ELBO(), stripes.train, stripes.valid, config, seed=seed, on_state=states.append)
            merits.append(states[-1].best.merit)
        gains.append(merits[1] - merits[0])
    assert min(gains) >= 0
    assert max(gains) > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stacked_models_with_different_rates(optimizer: Any) -> None:
    """Each is as if it had its rate alone; a model whose rate is zero keeps its weights."""
    rates = [0.1, 0.0, 0.04]
    config = TrainConfig(lr=0.1, optimizer=optimizer, bias_lr_factor=0.5)

    def after(models: Sequence[int], steps: int = 3) -> dict[str, Tensor]:
        weights = {name: torch.ones(len(models), 4, requires_grad=True) for name in ("weight", "bias")}
        chosen = build_optimizer(weights, config)
        torch.manual_seed(0)
        for _ in range(steps):
            gradient = torch.randn(3, 4)
            for weight in weights.values():
                weight.grad = gradient[list(models)].clone()
            with learning_rates(chosen, [rates[model] for model in models]):
                chosen.step()
        return {name: weight.detach() for name, weight in weights.items()}

    together = after([0, 1, 2])
    assert torch.equal(together["weight"][1], torch.ones(4))
    for model in (0, 2):
        for name, weight in after([model]).items():
            torch.testing.assert_close(together[name][model], weight[0])


def test_default_patience_is_as_long_as_the_way_to_the_best_weights() -> None:
    """12 steps an epoch: 84 epochs make 1,000 steps."""
    assert [TrainConfig().wait(best, 12) for best in (0, 30, 181)] == [84, 84, 181]
    assert TrainConfig(epochs=500).wait(181, 12) is None
    assert TrainConfig(keep="last").wait(181, 12) is None
    assert TrainConfig(epochs=500, patience=3).wait(181, 12) == 3


def test_patience_needs_validation(stripes: Dataset) -> None:
    with pytest.raises(BadInput, match="needs validation"):
        fit(small(stripes), ELBO(), stripes.train, config=TrainConfig(epochs=1, patience=1))


def test_batch_norm_needs_more_than_one_example(stripes: Dataset) -> None:
    model = small(stripes, network="conv", hidden=None)
    with pytest.raises(BadInput, match="batch normalization needs batches of two"):
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=1, batch_size=1))


def test_a_model_in_evaluation_mode_is_trained_in_training_mode(stripes: Dataset) -> None:
    """Batch normalisation must see its batches again."""
    model = small(stripes, network="conv", hidden=None).eval()
    before = state(model)
    fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=1, batch_size=20))
    assert not torch.equal(before["encoder.2.running_mean"], model.state_dict()["encoder.2.running_mean"])


def test_default_length_is_a_number_of_steps() -> None:
    assert TrainConfig().plan(10_000) == (100, 100)
    assert TrainConfig().plan(40_000) == (50, 400)
    assert TrainConfig().plan(1250) == (834, 12)
    assert TrainConfig(epochs=3, batch_size=7).plan(20) == (3, 2)
    assert TrainConfig(epochs=3, batch_size=7).plan(2) == (3, 1)


def test_adam_without_bias_correction() -> None:
    """Against the formula, with a learning rate that changes and two groups, of which one is slower."""
    config = TrainConfig(lr=0.1, eps=1e-3, bias_lr_factor=0.5, bias_correction="off")
    weights = {name: torch.ones(3, requires_grad=True) for name in ("weight", "bias")}
    optimizer = build_optimizer(weights, config)
    expected = {name: torch.ones(3) for name in weights}
    first, second = ({name: torch.zeros(3) for name in weights} for _ in range(2))
    for lr in (0.1, 0.1, 0.05, 0.02):
        for name, weight in weights.items():
            weight.grad = gradient = torch.randn(3)
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            factor = 0.5 if name == "bias" else 1.0
            expected[name] -= factor * lr * first[name] / (second[name].sqrt() + 1e-3)
        with learning_rates(optimizer, [lr]):
            optimizer.step()
        for name, weight in weights.items():
            torch.testing.assert_close(weight.detach(), expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("longer", "rate"), [(1, LR), (0, LONG_LR)])
def test_long_trainings_have_a_smaller_learning_rate_by_default(
    stripes: Dataset, longer: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(epochs=2, batch_size=20)
    epochs, steps = config.plan(len(stripes.train))
    monkeypatch.setattr("aevb.config.schema.LONG", epochs * steps + longer)
    trained = []
    for chosen in (config, config.model_copy(update={"lr": rate})):
        model = small(stripes)
        fit(model, ELBO(), stripes.train, stripes.valid, chosen)
        trained.append(state(model))
    assert same(*trained)


@pytest.mark.parametrize("options", [{}, {"network": "conv", "hidden": None, "prior": "mixture"}])
def test_weight_decay_is_of_layers_alone(stripes: Dataset, options: dict[str, Any]) -> None:
    """Without gradients, weights and biases of layers shrink by lr * decay; scales, means and normalizations stay."""
    model = small(stripes, likelihood="gaussian", **options)
    weights = trainable_parameters(model)
    optimizer = build_optimizer(weights, TrainConfig(lr=0.1), layer_weights(model))
    with torch.no_grad(), learning_rates(optimizer, [0.1]):
        for weight in weights.values():
            weight.fill_(1.0)
        decay_weights(optimizer, 0.5)
    normalizations = {path for path, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, weight in weights.items():
        path = name.rpartition(".")[0]
        stays = name.startswith(("likelihood.", "prior.")) or path in normalizations
        torch.testing.assert_close(weight.detach(), torch.full_like(weight, 1.0 if stays else 0.95))
    assert bool(normalizations) == bool(options)


def test_gradient_clipping(stripes: Dataset) -> None:
    """With plain steps of SGD, no step is longer than rate times norm; momentum makes at most 10 of it."""
    model = small(stripes)
    before = state(model)
    config = TrainConfig(epochs=1, batch_size=80, optimizer="sgd", lr=1.0, clip_grad_norm=1e-3)
    fit(model, ELBO(), stripes.train, config=config)
    moved = torch.sqrt(sum(((p - before[n]) ** 2).sum() for n, p in model.state_dict().items()))
    assert 0.5e-3 < moved < 1.01e-3


def test_validation_weights_the_last_batch_by_its_size(stripes: Dataset) -> None:
    """Without noise, the mean does not depend on how the examples are cut."""
    model = small(stripes)
    whole, parts = (validate(model, Sharp(), stripes.valid, decodings=size) for size in (20, 7))
    for name in ("loss", "bound", "rate", "distortion"):
        assert getattr(whole, name) == pytest.approx(getattr(parts, name), rel=1e-5)


@dataclass
class Sharp:
    """An objective without noise: terms that are functions of x alone."""

    n_samples: int = 1

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        value = trace.x.flatten(1).square().sum(1)
        return Terms(value, -value, value / 2, value / 2)


def test_validation_changes_neither_statistics_nor_mode(stripes: Dataset) -> None:
    model = small(stripes, network="conv", hidden=None).train()
    before = state(model)
    validate(model, ELBO(), stripes.valid)
    assert same(before, state(model))
    assert model.training


@pytest.mark.parametrize("after", [1, 7])
def test_ctrl_c_keeps_the_trained_weights(stripes: Dataset, after: int) -> None:
    steps = 0

    def press() -> None:
        nonlocal steps
        steps += 1
        if steps == after:
            os.kill(os.getpid(), signal.SIGINT)

    model, handler = small(stripes), signal.getsignal(signal.SIGINT)
    before = state(model)
    config = TrainConfig(epochs=1000, batch_size=20, keep="last")
    history = fit(model, ELBO(), stripes.train, stripes.valid, config, on_step=press)
    assert history.ended == "interrupted"
    assert steps == after
    assert len(history.epochs) == history.kept == after // 4
    assert not same(before, state(model))
    assert signal.getsignal(signal.SIGINT) is handler


def test_second_ctrl_c_interrupts_at_once(stripes: Dataset) -> None:
    def press() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs between two instructions
            pass

    with pytest.raises(KeyboardInterrupt):
        fit(small(stripes), ELBO(), stripes.train, config=TrainConfig(epochs=2), on_step=press)


class Mine:
    """An objective that explodes at the sixth batch it sees, and whenever that batch comes again."""

    n_samples = 1

    def __init__(self) -> None:
        self.count = 0
        self.trigger: Tensor | None = None

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        self.count += 1
        if self.count == 6:
            self.trigger = trace.x.clone()
        terms = ELBO()(trace)
        explodes = self.trigger is not None and torch.equal(trace.x, self.trigger)
        return terms._replace(loss=terms.loss * float("inf")) if explodes else terms


def test_a_loss_that_is_not_finite_is_reported_and_undone(stripes: Dataset) -> None:
    """It comes at the second step of the second epoch: the weights of the first are given back."""
    model, good = small(stripes), list[dict[str, Tensor]]()
    epochs: list[Epoch] = []

    def on_epoch(epoch: Epoch) -> None:
        epochs.append(epoch)
        good.append(state(model))

    config = TrainConfig(epochs=5, batch_size=20)
    with pytest.raises(NonFinite, match=r"the loss is not finite at step 2 of epoch 2"):
        fit(model, Mine(), stripes.train, config=config, on_epoch=on_epoch)
    assert len(epochs) == 1
    assert same(good[0], state(model))
    assert not model.training


def test_the_search_for_a_number_that_is_not_finite_leaves_the_model_as_it_was(stripes: Dataset) -> None:
    """Also where a repeated step fails, as on a full disk."""
    model = small(stripes)

    def steps() -> Generator[Tensor]:
        yield torch.zeros(1, 4)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        first_non_finite(model, steps())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("lr", "tensor"), [(1e30, "the output of (encoder|posterior|decoder)|the loss"), (1e38, "the (weight|output|loss)")]
)
def test_a_learning_rate_far_too_high_is_reported(stripes: Dataset, lr: float, tensor: str) -> None:
    model = small(stripes)
    before = state(model)
    with pytest.raises(NonFinite, match=f"({tensor}).* is not finite at step .* of epoch 1.*smaller --train.lr"):
        fit(model, ELBO(), stripes.train, stripes.valid, TrainConfig(epochs=3, batch_size=10, lr=lr))
    assert same(before, state(model))


def test_ctrl_c_after_a_loss_that_is_not_finite_gives_back_the_last_good_weights(stripes: Dataset) -> None:
    """Also within an epoch, whose numbers are otherwise looked at when it is whole."""
    model, steps = small(stripes), count(1)
    before = state(model)

    def press() -> None:
        if next(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(NonFinite, match=r"is not finite at step . of epoch 1"):
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=3, batch_size=10, lr=1e38), on_step=press)
    assert same(before, state(model))


def test_epochs_depend_only_on_seed_and_number(stripes: Dataset) -> None:
    """Random numbers drawn by somebody else between two epochs change nothing."""
    spies = [Spy(), Spy()]
    for spy, callback in zip(spies, (lambda _: None, lambda _: torch.rand(7)), strict=True):
        fit(small(stripes), spy, stripes.train, config=TrainConfig(epochs=2, batch_size=20), on_epoch=callback)
    assert all(torch.equal(a, b) for a, b in zip(spies[0].seen, spies[1].seen, strict=True))


def test_fit_reports_every_step_and_epoch(stripes: Dataset) -> None:
    steps: list[int] = []
    epochs: list[Epoch] = []
    config = TrainConfig(epochs=2, batch_size=30)
    fit(
        small(stripes), ELBO(), stripes.train, stripes.valid, config,
        on_step=lambda: steps.append(1), on_epoch=epochs.append,
    )  # fmt: skip
    assert len(steps) == 4
    assert [epoch.number for epoch in epochs] == [1, 2]
    assert all(epoch.train.bound == pytest.approx(-epoch.train.loss) for epoch in epochs)


@pytest.mark.parametrize("optimizer", mostly_slow([*OPTIMIZERS, "uncorrected adam"], 2))
@pytest.mark.parametrize(
    "options", [{"keep": "last", "weight_decay": 0.1}, {"lr": 0.3, "patience": 2, "lr_decay": 1.0}]
)
def test_training_resumes_from_any_state(stripes: Dataset, optimizer: Any, options: dict[str, Any]) -> None:
    """Twice from each: no state is changed by what was trained from it."""
    if optimizer == "uncorrected adam":
        optimizer, options = "adam", options | {"bias_correction": "off"}
    config = TrainConfig(epochs=5, batch_size=20, optimizer=optimizer, **options)
    states: list[TrainingState] = []

    def end(resume_from: TrainingState | None = None) -> tuple[History, dict[str, Tensor]]:
        model = small(stripes, network="conv", hidden=None, channels=(4,), activation="relu")
        parts = stripes.train, stripes.valid
        history = fit(
            model,
            ELBO(),
            *parts,
            config,
            seed=1,
            resume_from=resume_from,
            on_state=None if resume_from else states.append,
        )
        return history, state(model)

    whole, weights = end()
    assert [reached.number for reached in states] == [epoch.number for epoch in whole.epochs]
    for start in states * 2:
        history, again = end(start)
        assert (history.kept, history.ended) == (whole.kept, whole.ended)
        assert [epoch.train for epoch in history.epochs] == [epoch.train for epoch in whole.epochs[start.number :]]
        assert same(weights, again)


def test_batches_of_one_and_batch_normalization_of_vectors(stripes: Dataset) -> None:
    model = small(stripes)
    model.encoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.BatchNorm1d(8))
    with pytest.raises(BadInput, match="batch normalization needs batches of two examples or more"):
        fit(model, ELBO(), stripes.train, config=TrainConfig(epochs=1, batch_size=1))
