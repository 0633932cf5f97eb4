"""The typed description of a run, and what it takes to make a model of it.

A `Config` is everything a run is a function of, beside the data themselves. Its fields are the options of the commands
(`--model.latent 20`) and the keys of a configuration file. Nothing heavy is imported before `build`.
"""

import math
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from aevb import memory
from aevb.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aevb.columns import Column
    from aevb.data import Dataset
    from aevb.models.hierarchy import LatentLayer
    from aevb.models.likelihoods import Likelihood
    from aevb.models.objectives import Objective
    from aevb.models.priors import Prior
    from aevb.models.vae import VAE

Positive = Annotated[int, Field(ge=1)]
Size = Annotated[int, Field(ge=1, le=2**24)]
Widths = Annotated[tuple[Size, ...], Field(max_length=100), BeforeValidator(lambda value: _split(value))]
_NETWORK_OPTIONS = {"mlp": ("hidden",), "conv": ("channels",)}
STEPS = 10_000


class Section(BaseModel):
    """Immutable, and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which data, and what is done to them once."""

    source: str = Field(
        "digits",
        description="digits, mnist, fashion-mnist; gaussian, gaussian-rotated, figure-8, blobs, mixture (points of the"
        " plane); a .npy or .npz file; a table, .csv, .tsv or .parquet; a folder of images, or of Parquet or Arrow"
        " files; an address such as s3://bucket/cells.npy.",
    )
    column_types: dict[str, Literal["real", "positive", "count", "binary", "categorical", "label", "none"]] = Field(
        default_factory=dict,
        description="What columns of a table are, where that is not to be inferred, as in --data.column-types.age count: real,"
        " positive, count, binary, categorical; label, which the model does not see; none, which is left out.",
    )
    variant: Literal["printed", "corrected"] | None = Field(
        None, description="Of figure-8 and mixture: as printed in their report, or corrected (default)."
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
    validate_on: Literal["random", "last"] = Field(
        "random", description="Examples that validate: drawn at random, or the last ones (of the set's training part)."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Seed of the splits and of the test part's binarisation."
    )
    image_size: Size | None = Field(None, description="Resize the images of a folder to this height and width.")
    in_memory: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Read everything at once, or leave .npy, Parquet and Arrow where they are and read blocks ahead of"
        " the step: auto does so from 2 GiB on, and 256 MiB of tables.",
    )
    condition: Annotated[tuple[str, ...], Parameter(name="--model.condition")] = Field(
        (),
        description="Columns of a table that the model is given and does not explain, or label, the class of an"
        " example: it can then be sampled for any value of them.",
    )
    data_dir: Annotated[str | None, Parameter(name="--data-dir")] = Field(
        None, description="Folder with mnist/ and fashion-mnist/. Default: $AEVB_DATA, else they are downloaded once."
    )


class ModelConfig(Section):
    """The five pieces: encoder, posterior, prior, decoder, likelihood."""

    network: Literal["mlp", "conv"] = Field("mlp", description="Encoder and decoder.")
    hidden: Widths | None = Field(
        None, description="Widths of the mlp encoder, or none; the decoder mirrors them. Default: 500."
    )
    channels: Annotated[Widths, Field(min_length=1)] | None = Field(
        None, description="Channels of the conv encoder, each layer halving the image. Default: 32 64 32."
    )
    activation: Literal["tanh", "relu", "elu"] = Field("relu", description="Between the layers.")
    init: Literal["data", "pytorch", "lecun", "small"] = Field(
        "data",
        description="Weights to begin with: PyTorch's, with the decoder's output at the mean of the data, and for a"
        " table at factor analysis of its numbers, where relu layers are twice as wide as z or wider; PyTorch's;"
        " uniform of variance 1/fan-in, and biases of variance 1; normal of deviation 0.01, biases too.",
    )
    latent: Annotated[Widths, Field(min_length=1), Parameter(consume_multiple=False)] = Field(
        (2,),
        description="Dimensions of z; of several stochastic layers, from the data up, as in 100,50.",
    )
    latent_hidden: Annotated[Widths, Field(min_length=1)] | None = Field(
        None,
        description="Widths of the networks from one stochastic layer up to the next; mirrored down. Default: 100 100.",
    )
    posterior: Literal["diagonal", "full", "flow", "point"] = Field(
        "diagonal",
        description="Family of q(z|x): a normal with diagonal or full covariance, a flow (extra flows), or a point,"
        " which makes an autoencoder.",
    )
    posterior_scale: Literal["log-variance", "softplus"] = Field(
        "log-variance",
        description="What the encoder gives for the variance of q: its logarithm, or softplus^-1.",
    )
    prior: Literal["normal", "mixture", "vamp", "flow"] = Field(
        "normal", description="p(z): standard normal, mixture of normals, VampPrior, or a flow (extra flows)."
    )
    components: Size | None = Field(
        None, description="Components of the mixture prior, or pseudo-inputs of the vamp prior. Default: 20."
    )
    likelihood: (
        Literal[
            "bernoulli", "continuous-bernoulli", "gaussian", "gaussian-diagonal", "gaussian-full", "laplace",
            "categorical", "poisson", "negative-binomial", "columns",
        ]
        | None
    ) = Field(
        None,
        description="Family of p(x|z). Default: bernoulli for zeros and ones, negative-binomial for counts, columns for"
        " a table, else gaussian.",
    )  # fmt: skip
    mean_link: Literal["sigmoid", "identity"] | None = Field(
        None, description="Link of a gaussian or laplace mean. Default: sigmoid for values in [0, 1], else identity."
    )
    variance: Annotated[float, Field(gt=0)] | Literal["learned"] | None = Field(
        None, description="Variance of the gaussian likelihood: a number, or learned (default)."
    )
    classes: Size | None = Field(
        None,
        description="Values 0, 1, ... of the categorical likelihood. Default: up to the largest in the data.",
    )


class ObjectiveConfig(Section):
    """What training maximises."""

    kind: Literal["elbo", "elbo-mc", "iwae", "dreg", "beta-tc"] = Field(
        "elbo",
        description="The ELBO with its KL in closed form, or all by Monte Carlo; the importance-weighted bound, plain"
        " or with doubly reparameterised gradients; the ELBO with its total correlation weighed by beta.",
    )
    n_samples: Size | None = Field(None, description="Draws of z for each example. Default: 1; of iwae and dreg, 50.")
    beta: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Weight of the KL in the loss; in beta-tc, of the total correlation. Default: 1."
    )
    warmup: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Share of training in which this weight rises from 0 to beta. Default: none."
    )
    cycles: Positive | None = Field(None, description="How often the warm-up is repeated. Default: once.")
    free_bits: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Nats of KL in each latent dimension that cost nothing (elbo only). Default: none."
    )


class TrainConfig(Section):
    """How the objective is maximised."""

    epochs: Positive | None = Field(
        None, description=f"Passes over the training part. Default: as many as make {STEPS} steps."
    )
    batch_size: Positive = Field(100, description="Examples in a step.")
    micro_batches: Positive = Field(
        1,
        description="Parts in which the examples of a step are taken, one after another, for less memory and the same"
        " gradient; batch normalisation, free bits and beta-tc see a part at a time.",
    )
    optimizer: Literal["adam", "rmsprop", "adagrad", "sgd"] = Field("adam", description="sgd has momentum 0.9.")
    lr: Annotated[float, Field(gt=0)] = Field(1e-3, description="Learning rate.")
    bias_lr_factor: Annotated[float, Field(gt=0)] = Field(1.0, description="Learning rate of biases, in units of lr.")
    eps: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Least denominator of the adaptive optimizers, for mean gradients. Default: PyTorch's."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Share of weights and biases, times the learning rate, that each step takes off (decoupled)."
    )
    lr_schedule: Literal["linear", "constant"] = Field(
        "linear", description="Learning rate over the steps: constant, or falling linearly to zero at the end."
    )
    lr_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Share of the steps, at the end, over which the linear schedule falls to zero."
    )
    clip_grad_norm: Annotated[float, Field(gt=0)] | None = Field(None, description="Largest norm of the gradient.")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay of a moving average of the weights over the steps, as in 0.999: the average is what is"
        " validated, kept and saved. Default: none.",
    )
    patience: Positive | None = Field(None, description="Stop after so many epochs without a better validation bound.")
    keep: Literal["best", "last"] = Field("best", description="Weights to keep: best on validation, or last.")
    checkpoint_every: Annotated[str, Field(pattern=r"^[1-9]\d*(s|min|steps?|epochs?)$")] = Field(
        "10s",
        description="What a run that is cut off loses at most: seconds, minutes, steps or epochs, as in 500steps.",
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="What the processes share that torchrun starts: the examples of each batch, or with fsdp the"
        " weights and the state of the optimizer, too.",
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="Of the products of encoder and decoder in training. bf16 is faster for large networks, on"
        " GPUs and CPUs that have it, and too coarse for a density to fit three digits; held-out numbers are float32.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="Compile the step, which takes half a minute: auto does from 50,000 steps on."
    )

    def plan(self, examples: int) -> tuple[int, int]:
        """The epochs to make over so many examples, and the steps in each: as many as there are full batches."""
        steps = max(1, examples // self.batch_size)
        return self.epochs or -(-STEPS // steps), steps

    def rate(self, done: float) -> float:
        """The learning rate after a share `done` of all steps."""
        return self.lr * (min(1.0, (1 - done) / self.lr_decay) if self.lr_schedule == "linear" else 1.0)


class Config(Section):
    """Everything that a run is a function of, beside the data."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of initial weights, order of batches and noise.")

    def without_place(self) -> "Config":
        """The same configuration, wherever its data lie."""
        return self.model_copy(update={"data": self.data.model_copy(update={"data_dir": None})})


def resolve(model: ModelConfig, dataset: "Dataset") -> ModelConfig:
    """Fill in what a configuration leaves to the data, and refuse what does not fit them.

    Args:
        model: as the user gave it.
        dataset: what it is to explain.

    Raises:
        BadInput: the likelihood cannot explain such data, or an option has no meaning beside the others.
    """
    from aevb.models import likelihoods, priors

    defaults = {"binary": "bernoulli", "counts": "negative-binomial", "columns": "columns"}
    likelihood = model.likelihood or defaults.get(dataset.kind, "gaussian")
    family = likelihoods.FAMILIES[likelihood]
    if dataset.kind not in family.supports:
        raise BadInput(_advice(dataset, likelihood))
    if model.posterior == "point" and model.prior != "normal":
        raise BadInput(
            f"--model.prior {model.prior} has no meaning for an autoencoder (a point posterior): leave it out"
        )
    if dataset.binarize == "treat-as-probabilities" and likelihood != "bernoulli" and "unit" not in family.supports:
        raise BadInput(
            f"{dataset.name} has grey values, which the bernoulli likelihood takes as probabilities, not {likelihood}:"
            " use --data.binarize threshold or resampled"
        )
    if dataset.kind == "columns" and (model.prior == "vamp" or model.network == "conv"):
        piece = "prior vamp" if model.prior == "vamp" else "network conv"
        raise BadInput(f"--model.{piece} has no meaning for the rows of a table: leave it out")
    if dataset.condition_columns and model.prior == "vamp":
        raise BadInput("--model.prior vamp has no meaning for a conditional model: leave it out")
    options = {*family.options, *priors.FAMILIES[model.prior].options, *_NETWORK_OPTIONS[model.network]}
    options |= {"latent_hidden"} if len(model.latent) > 1 else set()
    values = {
        "mean_link": "sigmoid" if dataset.kind in ("binary", "unit") else "identity",
        "variance": "learned",
        "components": 20,
        "hidden": (500,),
        "channels": (32, 64, 32),
        "latent_hidden": (100, 100),
    }
    if "classes" in options:
        values["classes"] = dataset.largest + 1
    update = {name: _fill(model, name, values.get(name), name in options) for name in (*values, "classes")}
    return model.model_copy(update={"likelihood": likelihood, **update})


def build(
    model: ModelConfig, event: tuple[int, ...], columns: "Sequence[Column]" = (), given: "Sequence[Column]" = ()
) -> "VAE":
    """The model of a resolved configuration, for events of one shape, with fresh weights from the global generator.

    Args:
        model: resolved.
        event: the shape of an example.
        columns: of the table whose rows they are.
        given: what the model is given of each example.

    Raises:
        BadInput: the network does not fit the shape, a flow lacks its library, or there is not the memory for it.
    """
    advice = "use smaller widths or fewer latent dimensions"
    memory.require(weight(model, event, columns, given), "a model of these widths", advice)
    return _joined(model, event, columns, given)


def weight(
    model: ModelConfig, event: tuple[int, ...], columns: "Sequence[Column]" = (), given: "Sequence[Column]" = ()
) -> float:
    """Bytes of the weights of a model, at the least, without making it; the arguments are those of `build`."""
    import torch

    flows = [piece for piece in ("posterior", "prior") if getattr(model, piece) == "flow"]
    simpler = {"posterior": "diagonal", "prior": "normal"}  # flows cannot be made without memory
    try:
        with torch.device("meta"):
            found = _joined(model.model_copy(update={piece: simpler[piece] for piece in flows}), event, columns, given)
    except (RuntimeError, TypeError) as error:
        if "verflow" not in str(error):
            raise
        return math.inf
    weights: list[int] = [tensor.numel() * tensor.element_size() for tensor in found.state_dict().values()]
    return sum(weights) + len(flows) * model.latent[-1] ** 2  # of a flow, its masks


def _joined(
    model: ModelConfig, event: tuple[int, ...], columns: "Sequence[Column]", given: "Sequence[Column]"
) -> "VAE":
    from aevb.models import likelihoods, networks, posteriors, priors
    from aevb.models.shapes import size
    from aevb.models.vae import VAE

    def options(family: "type[Likelihood] | type[Prior]") -> dict[str, Any]:
        return {name: columns if name == "columns" else getattr(model, name) for name in family.options}

    likelihood_family = likelihoods.FAMILIES[model.likelihood or "gaussian"]
    likelihood = likelihood_family(event, **options(likelihood_family))
    encoder_of, decoder_of, widths = {
        "mlp": (networks.mlp_encoder, networks.mlp_decoder, model.hidden or ()),
        "conv": (networks.conv_encoder, networks.conv_decoder, model.channels or ()),
    }[model.network]
    seen = networks.Embedding(columns) if columns else networks.Standardize(event)
    condition = networks.Embedding(given) if given else None
    known = size(condition.output) if condition else 0
    encoder, features = encoder_of(seen.output, widths, model.activation, known)
    if not likelihood.bounded:
        encoder = networks.preceded(seen, encoder)
    lowest, top = model.latent[0], model.latent[-1]
    decoder = decoder_of(lowest + known, widths, likelihood.output, model.activation)
    lower_layers = []
    for latent, above in pairwise(model.latent):
        lower_layers.append(_rung(model, features, latent, above))
        features = (model.latent_hidden or ())[-1]
    posterior = posteriors.FAMILIES[model.posterior](features, top, model.posterior_scale)
    prior_family = priors.FAMILIES[model.prior]
    prior = prior_family(top, event, **options(prior_family))
    vae = VAE(encoder, posterior, prior, decoder, likelihood, lower_layers, condition)
    if model.init in ("lecun", "small"):
        networks.draw_weights(vae, model.init)
    return vae


def _rung(model: ModelConfig, features: int, latent: int, above: int) -> "LatentLayer":
    """A layer of so many dimensions, from the features of its height, below one of `above` dimensions."""
    from aevb.models import networks, posteriors
    from aevb.models.hierarchy import LatentLayer

    widths = model.latent_hidden or ()
    up, _ = networks.mlp_encoder((features,), widths, model.activation)
    down, width = networks.mlp_encoder((above,), widths[::-1], model.activation)
    conditional = posteriors.Diagonal(width, latent, model.posterior_scale)
    posterior = posteriors.FAMILIES[model.posterior](features + width, latent, model.posterior_scale)
    return LatentLayer(up, down, conditional, posterior)


def build_objective(objective: ObjectiveConfig, posterior: str = "diagonal") -> "Objective":
    """The objective of a configuration, for a family of posteriors.

    Raises:
        BadInput: an option has no meaning for this kind of objective, or for an autoencoder.
    """
    from aevb.models.objectives import ELBO, FAMILIES, Weight

    if posterior == "point":
        for option in objective.model_dump(exclude={"n_samples"}, exclude_defaults=True):
            shown = option.replace("_", "-")
            raise BadInput(f"--objective.{shown} has no meaning for an autoencoder (a point posterior): leave it out")
        return ELBO(objective.n_samples or 1, Weight(0.0))
    family = FAMILIES[objective.kind]
    given = objective.model_dump(exclude={"kind"}, exclude_none=True)
    weight = {name: given.pop(name) for name in ("beta", "warmup", "cycles") if name in given}
    arguments = given | ({"weight": Weight(**weight)} if weight else {})
    known = {field.name for field in fields(family)}
    for name in arguments:
        if name not in known:
            option = next(iter(weight)) if name == "weight" else name.replace("_", "-")
            raise BadInput(f"--objective.{option} has no meaning for the objective {objective.kind}: leave it out")
    return family(**arguments)


def _split(value: object) -> object:
    """Widths may also be written with commas, 300,100, as one number, and as none."""
    parts = [value] if isinstance(value, str | int) else value
    if not isinstance(parts, list | tuple):
        return value
    parts = [number for part in parts for number in (part.split(",") if isinstance(part, str) else [part])]
    return [] if parts == ["none"] else parts


def _fill(model: ModelConfig, option: str, default: object, applies: bool) -> object:
    given = getattr(model, option)
    if given is not None and not applies:
        shown = " ".join(map(str, given)) if isinstance(given, tuple) else given
        raise BadInput(f"--model.{option.replace('_', '-')} {shown} has no meaning for this model: leave it out")
    return (given if given is not None else default) if applies else None


def _advice(dataset: "Dataset", likelihood: str) -> str:
    from aevb.models.likelihoods import FAMILIES

    found = {
        "binary": "zeros and ones",
        "unit": "grey values",
        "counts": "counts",
        "real": "real values",
        "columns": "the columns of a table",
    }
    wanted = " or ".join(found[kind] for kind in FAMILIES[likelihood].supports)
    fitting = ", ".join(name for name, family in FAMILIES.items() if dataset.kind in family.supports)
    binarize = "add --data.binarize threshold, resampled or treat-as-probabilities, or "
    return (
        f"{dataset.name} has {found[dataset.kind]}, and the likelihood {likelihood} explains {wanted}: "
        f"{binarize * (dataset.kind == 'unit')}use --model.likelihood {fitting}"
    )
