"""Networks in bfloat16: nothing else is, and what is learned is the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, fx, nn

from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.config.schema import Config, ModelConfig, TrainConfig
from aevb.data import Dataset, load_data
from aevb.models.objectives import ELBO, Terms
from aevb.models.vae import VAE, Trace
from aevb.training.backends.captured import CapturedBackend
from aevb.training.backends.eager import EagerBackend
from aevb.training.capture import CapturedStep
from aevb.training.fit import TrainingJob, fit, fit_stacked
from aevb.training.precision import InBfloat16, in_bfloat16
from aevb.training.validation import validate
from aevb.workflow.fitting import fit_run, initial_model
from tests.conftest import some
from tests.runs.test_resume import config, cut_off, data, end, resume
from tests.training.test_fit import small

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "conv": {"network": "conv", "hidden": None, "channels": (4,)},
    "ladder": {"latent": (3, 2), "latent_hidden": (5,)},
    "vamp": {"prior": "vamp", "components": 3},
    "flow": {"prior": "flow"},
}


@contextmanager
def watched(model: VAE) -> Iterator[dict[bool, dict[str, set[torch.dtype]]]]:
    """What the layers of a model give, in training and in evaluation."""
    seen: dict[bool, dict[str, set[torch.dtype]]] = {True: {}, False: {}}

    def hook(name: str) -> Any:
        return lambda module, _, out: seen[module.training].setdefault(name, set()).add(out.dtype)

    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    yield seen
    for each in hooks:
        each.remove()


@dataclass
class Noting:
    """The evidence lower bound, noting the types of all that densities are made of and give."""

    n_samples: int = 1

    def __post_init__(self) -> None:
        self.types: set[torch.dtype] = set()

    def __call__(self, trace: Trace, done: float | Tensor = 1.0) -> Terms:
        terms = ELBO()(trace)
        layers = [tensor for layer in trace.layers for tensor in (layer.z, layer.q.mean)]
        found: Sequence[Tensor] = (trace.x, trace.log_likelihood, trace.log_prior, trace.log_posterior, *layers, *terms)
        self.types |= {tensor.dtype for tensor in found}
        return terms


@pytest.mark.parametrize("kind", MODELS)
def test_networks_are_in_bfloat16_and_densities_are_not(stripes: Dataset, kind: str) -> None:
    if kind == "flow":
        pytest.importorskip("zuko")
    model, objective = small(stripes, **MODELS[kind]), Noting()
    options = TrainConfig(epochs=2, batch_size=20, precision="bf16")
    with watched(model) as seen:
        fit(model, objective, stripes.train, stripes.valid, options)
    assert objective.types == {torch.float32}
    for name, types in seen[True].items():
        network = name.startswith(("encoder.", "decoder.")) or ".up." in name or ".down." in name
        assert types == {torch.bfloat16 if network else torch.float32}, name
    assert any(types == {torch.bfloat16} for types in seen[True].values())
    assert set().union(*seen[False].values()) == {torch.float32}  # validation
    assert {tensor.dtype for tensor in model.state_dict().values()} <= {torch.float32, torch.int64, torch.bool}


@pytest.mark.parametrize("kind", MODELS)
def test_the_bfloat16_model_shares_its_weights(stripes: Dataset, kind: str) -> None:
    if kind == "flow":
        pytest.importorskip("zuko")
    model = small(stripes, **MODELS[kind])
    other = in_bfloat16(model)
    ours, theirs = ([*each.parameters(), *each.buffers()] for each in (model, other))
    assert [id(tensor) for tensor in ours] == [id(tensor) for tensor in theirs]
    assert not any(isinstance(module, InBfloat16) for module in model.modules())


def test_a_subclass_keeps_its_type(stripes: Dataset) -> None:
    class Own(VAE):
        pass

    model = small(stripes)
    model.__class__ = Own
    assert type(in_bfloat16(model)) is Own


def test_a_conditional_model() -> None:
    dataset = load_data("digits", condition=("label",))
    model = build(resolve(ModelConfig(hidden=(8,)), dataset), dataset.shape, (), dataset.condition_columns)
    with watched(model) as seen:
        history = fit(model, ELBO(), dataset.train, config=TrainConfig(epochs=2, precision="bf16"))
    assert seen[True]["decoder.0"] == {torch.bfloat16}
    assert history.epochs[1].train.bound > history.epochs[0].train.bound


def gradients(backend: EagerBackend | CapturedBackend) -> tuple[Tensor, list[Tensor]]:
    with backend.epoch(1) as compute:
        row = compute(slice(0, 20), 0.5)
    return row, [weight.grad.clone() for weight in backend.weights.values() if weight.grad is not None]


def count_bfloat16(step: CapturedStep) -> int:
    """Return the number of tensors of a captured step that are in bfloat16."""
    assert isinstance(step.run, fx.GraphModule)
    nodes = step.run.graph.nodes
    return sum(getattr(node.meta.get("val"), "dtype", None) == torch.bfloat16 for node in nodes)


def test_a_captured_step_has_the_same_casts(stripes: Dataset) -> None:
    """The same gradients to the rounding of a bfloat16, and not those of float32."""
    model = small(stripes)
    eager = [gradients(EagerBackend(model, ELBO(), stripes.train, 0, bf16=bf16)) for bf16 in (True, False)]
    captured = CapturedBackend([model], ELBO(), stripes.train, [0], 20, compiled=False, bf16=True)
    assert count_bfloat16(captured.step) > 10
    row, made = gradients(captured)
    torch.testing.assert_close(row.float(), eager[0][0].float(), rtol=1e-4, atol=1e-4)
    scale = max(float(gradient.abs().max()) for gradient in made)
    for gradient, single in zip(made, eager[0][1], strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, single, rtol=2e-2, atol=1e-4 * scale)
    assert not all(torch.equal(one, other) for one, other in zip(eager[0][1], eager[1][1], strict=True))


def test_stacked_models_in_bfloat16(stripes: Dataset) -> None:
    bounds = {}
    for precision in ("float32", "bf16"):
        options = TrainConfig.model_validate({"epochs": 30, "batch_size": 20, "precision": precision})
        models = [small(stripes) for _ in range(2)]
        fit_stacked(
            [TrainingJob(model, seed) for seed, model in enumerate(models)], ELBO(), stripes.train, config=options
        )
        bounds[precision] = [validate(model, ELBO(), stripes.valid).bound for model in models]
    assert bounds["bf16"] != bounds["float32"]
    assert bounds["bf16"] == pytest.approx(bounds["float32"], abs=0.5)


@pytest.mark.slow
def test_digits_are_learned_equally_well() -> None:
    """Held-out bound of models with three seeds, by captured steps: within half a nat, on average."""
    dataset, bounds = load_data("digits"), dict[str, list[float]]()
    for precision in ("float32", "bf16"):
        for seed in range(3):
            options = {"epochs": 45, "precision": precision}
            chosen = Config.model_validate({"model": {"hidden": [100]}, "seed": seed, "train": options})
            model = initial_model(chosen, resolve(chosen.model, dataset), dataset)
            fit(model, ELBO(), dataset.train, dataset.valid, chosen.train, seed=seed)
            bounds.setdefault(precision, []).append(validate(model, ELBO(), dataset.valid).bound)
    assert mean(bounds["bf16"]) == pytest.approx(mean(bounds["float32"]), abs=0.5)


@pytest.mark.parametrize("options", [{}, {"micro_batches": 2, "ema": 0.9}])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    chosen = config(precision="bf16", **options)
    fit_run(chosen, tmp_path / "whole", data())
    cut_off(tmp_path / "run", chosen, 17)
    types = {tensor.dtype for tensor in load_file(tmp_path / "run" / "checkpoint.safetensors").values()}
    assert torch.bfloat16 not in types
    resume(tmp_path / "run", chosen)
    assert end(tmp_path / "run") == end(tmp_path / "whole")


def test_a_table(tmp_path: Path) -> None:
    chosen = Config.model_validate({"train": {"epochs": 3, "batch_size": 10, "precision": "bf16"}})
    run = fit_run(chosen, tmp_path / "run", some("columns", ()))
    assert run.epochs[-1].train.bound > run.epochs[0].train.bound
