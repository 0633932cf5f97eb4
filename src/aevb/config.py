"""The typed description of a run, and what it takes to make a model of it.

A `Config` is everything a run is a function of, beside the data themselves. Its fields are the options of the commands
(`--model.latent 20`) and the keys of a configuration file. Nothing heavy is imported before `build`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aevb.errors import BadInput

if TYPE_CHECKING:
    from aevb.model import VAE
    from aevb.objectives import Objective

Positive = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Positive, ...], BeforeValidator(lambda value: _split(value))]
Kind = Literal["binary", "unit", "real"]
STEPS = 10_000


class Section(BaseModel):
    """Immutable, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which data, and what is done to them once."""

    source: str = Field(
        "digits", description="digits, mnist, fashion-mnist, a .npy or .npz file, or a folder of images."
    )
    binarize: Literal["none", "threshold", "resampled", "treat-as-probabilities"] = Field(
        "none",
        description="How grey values become zeros and ones: not at all; 1 from 0.5 on; drawn anew for each batch"
        " (validation and test once); or left as they are and taken for probabilities.",
    )
    validation: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Share (below 1) or number of examples that choose the model; default: a tenth, 10000 of MNIST.",
    )
    test: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Share or number of examples held out to the end; default: a fifth, or the set's own test part.",
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Seed of the splits and of the test part's binarisation."
    )
    size: Positive | None = Field(None, description="Resize the images of a folder to this height and width.")
    data_dir: Annotated[str | None, Parameter(name="--data-dir")] = Field(
        None, description="Folder with mnist/ and fashion-mnist/. Default: $AEVB_DATA, else they are downloaded once."
    )


class ModelConfig(Section):
    """The five pieces: encoder, posterior, prior, decoder, likelihood."""

    network: Literal["mlp", "conv"] = Field("mlp", description="Encoder and decoder.")
    hidden: Widths | None = Field(
        None, description="Widths of the mlp encoder; the decoder mirrors them. Default: 500."
    )
    channels: Annotated[Widths, Field(min_length=1)] | None = Field(
        None, description="Channels of the conv encoder, each layer halving the image. Default: 32 64 32."
    )
    activation: Literal["tanh", "relu", "elu"] = Field("relu", description="Between the layers.")
    latent: Positive = Field(2, description="Dimensions of z.")
    posterior: Literal["diagonal"] = Field("diagonal", description="Family of q(z|x).")
    posterior_scale: Literal["log-variance", "softplus"] = Field(
        "log-variance",
        description="What the encoder gives for the posterior's variance: its logarithm, or softplus^-1.",
    )
    prior: Literal["normal"] = Field("normal", description="p(z).")
    likelihood: Literal["bernoulli", "gaussian"] | None = Field(
        None, description="Family of p(x|z). Default: bernoulli for zeros and ones, else gaussian."
    )
    mean: Literal["sigmoid", "identity"] | None = Field(
        None, description="Link of the gaussian mean. Default: sigmoid for values in [0, 1], else identity."
    )
    variance: Annotated[float, Field(gt=0)] | Literal["learned"] | None = Field(
        None, description="The gaussian variance: a number, or learned (default)."
    )


class ObjectiveConfig(Section):
    """What training maximises."""

    kind: Literal["elbo", "elbo-mc"] = Field("elbo", description="KL in closed form, or every term by Monte Carlo.")
    samples: Positive = Field(1, description="Draws of z for each example.")


class TrainConfig(Section):
    """How the objective is maximised."""

    epochs: Positive | None = Field(
        None, description=f"Passes over the training part. Default: as many as make {STEPS} steps."
    )
    batch_size: Positive = Field(100, description="Examples in a step.")
    optimizer: Literal["adam", "rmsprop", "adagrad", "sgd"] = Field("adam", description="sgd has momentum 0.9.")
    lr: Annotated[float, Field(gt=0)] = Field(1e-3, description="Learning rate.")
    decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3,
        description="Share of the steps, at the end, over which the learning rate falls to zero; 0: it is constant.",
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(None, description="Largest norm of the gradient.")
    patience: Positive | None = Field(None, description="Stop after so many epochs without a better validation bound.")
    keep: Literal["best", "last"] = Field("best", description="Weights to keep: best on validation, or last.")

    def plan(self, examples: int) -> tuple[int, int]:
        """The epochs to make over so many examples, and the steps in each: as many as there are full batches."""
        steps = max(1, examples // self.batch_size)
        return self.epochs or -(-STEPS // steps), steps

    def rate(self, done: float) -> float:
        """The learning rate after a share `done` of all steps."""
        return self.lr * min(1.0, (1 - done) / self.decay if self.decay else 1.0)


class Config(Section):
    """Everything that a run is a function of, beside the data."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of initial weights, order of batches and noise.")


def resolve(model: ModelConfig, kind: Kind, name: str = "data") -> ModelConfig:
    """Fill in what a configuration leaves to the kind of data, and refuse what does not fit.

    Args:
        model: as the user gave it.
        kind: what the data are.
        name: of the data, for the message.

    Raises:
        BadInput: the likelihood cannot explain such data, or an option has no meaning beside the others.
    """
    likelihood = model.likelihood or ("bernoulli" if kind == "binary" else "gaussian")
    if likelihood == "bernoulli" and kind != "binary":
        raise BadInput(_advice(name, kind))
    gaussian, mlp = likelihood == "gaussian", model.network == "mlp"
    link = "identity" if kind == "real" else "sigmoid"
    return model.model_copy(
        update={
            "likelihood": likelihood,
            "mean": _fill("mean", model.mean, link, "the gaussian likelihood", gaussian),
            "variance": _fill("variance", model.variance, "learned", "the gaussian likelihood", gaussian),
            "hidden": _fill("hidden", model.hidden, (500,), "the mlp network", mlp),
            "channels": _fill("channels", model.channels, (32, 64, 32), "the conv network", not mlp),
        }
    )


def build(model: ModelConfig, event: tuple[int, ...]) -> "VAE":
    """The model of a resolved configuration, for events of one shape, with fresh weights from the global generator.

    Raises:
        BadInput: the network does not fit the shape.
    """
    from aevb import likelihoods, networks, posteriors, priors
    from aevb.model import VAE

    likelihood: likelihoods.Likelihood
    if model.likelihood == "bernoulli":
        likelihood = likelihoods.Bernoulli(event)
    else:
        variance = None if model.variance in (None, "learned") else float(model.variance)
        likelihood = likelihoods.Gaussian(event, variance, model.mean or "identity")
    if model.network == "mlp":
        hidden = model.hidden or ()
        encoder, features = networks.mlp_encoder(event, hidden, model.activation)
        decoder = networks.mlp_decoder(model.latent, hidden, likelihood.output, model.activation)
    else:
        channels = model.channels or ()
        encoder, features = networks.conv_encoder(event, channels, model.activation)
        decoder = networks.conv_decoder(model.latent, channels, likelihood.output, model.activation)
    posterior = posteriors.Diagonal(features, model.latent, model.posterior_scale)
    return VAE(encoder, posterior, priors.Standard(model.latent), decoder, likelihood)


def build_objective(objective: ObjectiveConfig) -> "Objective":
    """The objective of a configuration."""
    from aevb.objectives import ELBO, MonteCarloELBO

    kinds: dict[str, Callable[[int], Objective]] = {"elbo": ELBO, "elbo-mc": MonteCarloELBO}
    return kinds[objective.kind](objective.samples)


def _split(value: object) -> object:
    """Widths may also be written with commas: 300,100."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    return [number for part in parts for number in (part.split(",") if isinstance(part, str) else [part])]


def _fill(option: str, given: object, default: object, place: str, applies: bool) -> object:
    if given is not None and not applies:
        raise BadInput(f"--model.{option} {given} belongs to {place}, which this model does not use: leave it out")
    return (given if given is not None else default) if applies else None


def _advice(name: str, kind: Kind) -> str:
    if kind == "real":
        return f"{name} has values outside [0, 1], not the zeros and ones of bernoulli: use --model.likelihood gaussian"
    return (
        f"{name} has grey values, not the zeros and ones of bernoulli: add --data.binarize threshold, resampled or"
        " treat-as-probabilities, or use --model.likelihood gaussian"
    )
