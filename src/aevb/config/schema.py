"""The typed description of a run.

A `Config` is everything a run is a function of, besides the data themselves. Its fields are the options of the commands
(`--model.latent 20`) and the keys of a configuration file. The options of pieces (`aevb.models.registry`), such as
`--model.variance`, belong to the section of their piece, beside its own fields.
"""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Annotated, Any, ClassVar, Literal

from cyclopts import Parameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from aevb.columns import KINDS, DeclaredType
from aevb.config.pieces import check_names, check_options, option_fields, piece_options, summaries, used_plugins
from aevb.config.presets import Preset, with_preset
from aevb.models.options import Activation, PieceOptions, Positive, Size, Widths
from aevb.models.registry import Registry, register

STEPS, STEPS_FOR = 10_000, 10_000
"""Default number of training steps for up to so many examples; it grows with the square root of their number."""
LR, LONG_LR, LONG = 2e-3, 1e-3, 25_000
"""Default learning rates, the second from so many steps on: with the first, long trainings on MNIST diverged."""
WAIT = 1000
"""Default number of steps without a better validation loss after which training ends, if the best came early."""
DECAY, DECAY_BY_EXAMPLE = 0.1, 100.0
"""Default weight decay of rows: the smaller of the first, and the second divided by the number of training examples."""
IMAGE_LATENT, ROW_LATENT = 2, 8
"""Default number of latent dimensions of images, and of rows."""


def steps_for(examples: int, steps: int) -> float:
    """Return a number of training steps for up to `STEPS_FOR` examples; it grows with the square root beyond."""
    return steps * sqrt(max(1.0, examples / STEPS_FOR))


class Section(BaseModel):
    """A group of options, immutable and strict about names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """The data and their preparation."""

    source: str = Field(
        "digits",
        description="Name of a data set; a .npy or .npz file; a table such as .csv, .txt, .json, .xlsx or .parquet; a"
        " folder of images, or of Parquet or Arrow files; an address such as s3://bucket/cells.npy.",
    )
    column_types: dict[str, DeclaredType] = Field(
        default_factory=dict,
        description="Types of columns of a table, where they should not be inferred, as in --data.column-types.age"
        " count: "
        + ", ".join(KINDS)
        + "; date; label, which the model does not use; none, which leaves the column out.",
    )
    missing: tuple[str, ...] | None = Field(
        None,
        description="Texts of a text file that mean a missing value, besides empty fields and those of pandas, such as"
        " NA, NaN, null and None. With an empty text '' among them, those of pandas are values.",
    )
    variant: str | None = Field(
        None, description="Variant of a data set: printed or corrected (default) of figure-8 and mixture."
    )
    binarize: Literal["none", "threshold", "resampled", "treat-as-probabilities"] = Field(
        "none",
        description="Binarization of gray values: none; threshold, 1 from 0.5 on; resampled, sampled anew for each"
        " batch (for validation and test once); or treat-as-probabilities.",
    )
    validation: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Share (below 1) or number of validation examples. Default: a tenth, 10000 of MNIST.",
    )
    test: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Share or number of test examples. Default: a fifth, or the test part of the data set."
    )
    validate_on: Literal["random", "last"] = Field(
        "random", description="Validation examples: a random choice, or the last ones of the training part."
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="Seed of the splits and of the binarization of the test part."
    )
    image_size: Size | None = Field(None, description="Resize the images of a folder to this height and width.")
    in_memory: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Load all data into memory, or read blocks of .npy, Parquet and Arrow files ahead of each step."
        " auto reads blocks from 2 GiB on, and from 256 MiB of tables.",
    )
    data_dir: Annotated[str | None, Parameter(name="--data-dir")] = Field(
        None,
        description="Folder with mnist/, fashion-mnist/ and static-mnist/. Default: $AEVB_DATA; otherwise a download,"
        " except of static-mnist.",
    )


def _split_names(value: object) -> object:
    """Return the names in a text, separated by commas, as in a sweep over conditions."""
    return value.split(",") if isinstance(value, str) else value


class WithPieces(Section):
    """A section whose options include those of registered pieces.

    Attributes:
        PIECES: the registries of the fields that name a piece.
    """

    model_config = ConfigDict(extra="allow")
    PIECES: ClassVar[Mapping[str, Registry[Any]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _check(cls, values: Any) -> Any:
        """Check the names of pieces and their options, which are not fields of this class, against the registry."""
        if not isinstance(values, dict):
            return values
        check_names(cls.PIECES, values)
        return check_options(cls, cls.PIECES, values)

    @property
    def options(self) -> dict[str, Any]:
        """The options of pieces, as far as they are set; after `aevb.config.resolve.resolve`, all of them."""
        return dict(self.model_extra or {})

    def plugins(self) -> list[str]:
        """Return the modules outside this package that registered the pieces of this section."""
        return used_plugins(self.PIECES, self)

    def piece_options(self, field: str) -> PieceOptions:
        """Return the options of the piece that a field names."""
        return piece_options(self.PIECES[field][getattr(self, field)], self.options)


class ModelConfig(WithPieces):
    """The model: encoder and decoder, posterior, prior and likelihood."""

    PIECES = {
        "network": register.network,
        "posterior": register.posterior,
        "prior": register.prior,
        "likelihood": register.likelihood,
    }

    network: str = Field("mlp", description="Architecture of encoder and decoder.")
    activation: Activation | None = Field(
        None,
        description="Activation function. Default: glu, gated linear units, for images if the network is mlp; relu"
        " otherwise.",
    )
    init: Literal["data", "pytorch", "lecun", "small"] = Field(
        "data",
        description="Initial weights: data, those of PyTorch with the decoder's output at the mean of the data, and for"
        " a table with factor analysis of its numbers, if relu layers are at least twice as wide as z; pytorch; lecun,"
        " uniform of variance 1/fan-in, and biases of variance 1; small, normal with standard deviation 0.01.",
    )
    latent: Annotated[Widths | None, Field(min_length=1), Parameter(consume_multiple=False)] = Field(
        None,
        description="Latent dimensions; of several stochastic layers, from the data up, as in 100,50. Default:"
        f" {IMAGE_LATENT} for images; {ROW_LATENT} for a table and other rows, but at most as many as they have"
        " columns.",
    )
    latent_hidden: Annotated[Widths, Field(min_length=1)] | None = Field(
        None,
        description="Widths of the networks between stochastic layers, from the data up; mirrored down. Default: 100"
        " 100.",
    )
    skip: Literal["on", "off"] = Field(
        "off",
        description="Skip connections: the decoder receives all stochastic layers instead of only the lowest.",
    )
    posterior: str = Field("diagonal", description="Family of q(z|x).")
    prior: str = Field("normal", description="Family of p(z).")
    likelihood: str | None = Field(None, description="Family of p(x|z). Default: depends on the kind of data.")
    condition: Annotated[tuple[str, ...], BeforeValidator(_split_names), Parameter(show_default=False)] = Field(
        (),
        description="Condition of the model, which it does not explain: columns of a table, or label, the class of an"
        " example. Samples are then conditional on values of these.",
    )

    @property
    def layers(self) -> tuple[int, ...]:
        """The latent dimensions of the stochastic layers, from the data up.

        Raises:
            ValueError: they depend on the data, and the configuration is not resolved.
        """
        if self.latent is None:
            raise ValueError("the default of model.latent depends on the data: resolve the configuration first")
        return self.latent

    @property
    def decoder_latent(self) -> int:
        """The number of latent dimensions that the decoder receives.

        Raises:
            ValueError: as for `layers`.
        """
        return sum(self.layers) if self.skip == "on" else self.layers[0]


class ObjectiveConfig(WithPieces):
    """The training objective."""

    PIECES = {"kind": register.objective, "then": register.objective}

    kind: str = Field("elbo", description="Objective.")
    n_samples: Size | None = Field(
        None, description="Samples of z for each example. Default: 1; 50 for the importance-weighted bounds."
    )
    then: str | None = Field(
        None,
        description="Objective of the last part of training, such as dreg after elbo, with the same beta and without a"
        " warm-up.",
    )
    then_from: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="Share of training, in whole epochs, after which `then` is minimized."
    )
    then_n_samples: Size | None = Field(None, description="Samples of z for each example in this part.")

    @property
    def last_n_samples(self) -> int | None:
        """The number of samples at the end of training; None for the default."""
        return self.then_n_samples if self.then else self.n_samples


class TrainConfig(Section):
    """Training."""

    epochs: Positive | None = Field(
        None,
        description=f"Passes over the training part. Default: as many as make {STEPS:,} steps, more for over"
        f" {STEPS_FOR:,} examples; fewer if the validation loss stops falling.",
    )
    budget: Annotated[str, Field(pattern=r"^[1-9]\d*(s|min|h)$")] | None = Field(
        None,
        description="Time for training, as in 10min, instead of a number of epochs: as many as fit into it, by the"
        " speed of a few steps. Evaluation and figures follow.",
    )
    init_from: str | None = Field(
        None,
        description="Folder of a run of the same model, whose weights are the initial weights. Default: none. A warm-up"
        " of the KL starts again, unless --objective.warmup is 0.",
    )
    batch_size: Positive = Field(100, description="Examples in a step.")
    micro_batches: Positive = Field(
        1,
        description="Gradient accumulation: split each batch into this many micro-batches. Less memory, same gradient;"
        " batch normalization, free bits and beta-tc use the micro-batch.",
    )
    optimizer: Literal["adam", "rmsprop", "adagrad", "sgd"] = Field("adam", description="sgd has momentum 0.9.")
    lr: Annotated[float, Field(gt=0)] | None = Field(
        None, description=f"Learning rate. Default: {LR:g}; {LONG_LR:g} for trainings of {LONG:,} steps or more."
    )
    bias_lr_factor: Annotated[float, Field(gt=0)] = Field(1.0, description="Learning rate of biases, in units of lr.")
    eps: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Term added to the denominator of the adaptive optimizers. Default: PyTorch's."
    )
    bias_correction: Literal["on", "off"] = Field(
        "on", description="Adam: divide the moments by 1 - beta^t. off makes the first steps longer."
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="Decoupled weight decay of the weights and biases of layers. Default: for rows the smaller of"
        f" {DECAY:g} and {DECAY_BY_EXAMPLE:g} divided by the number of training examples, for images 0.",
    )
    lr_schedule: Literal["linear", "constant"] = Field(
        "linear", description="Learning rate over the steps: constant, or falling linearly to zero at the end."
    )
    lr_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3,
        description="Share of the steps, at the end, over which the linear schedule falls to zero. After early"
        " stopping: length of the fall as a share of the epochs to the best weights.",
    )
    clip_grad_norm: Annotated[float, Field(gt=0)] | None = Field(None, description="Largest norm of the gradient.")
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Decay of an exponential moving average of the weights over the steps, as in 0.999: the average is"
        " validated, kept and saved. Default: none.",
    )
    patience: Positive | None = Field(
        None,
        description="After this many epochs without a better validation loss, return to the best weights, let the"
        " learning rate fall to zero and stop; at once with a constant learning rate or --train.keep last. Default:"
        f" without --train.epochs, as many as led to the best loss, and at least {WAIT:,} steps.",
    )
    keep: Literal["best", "last"] = Field("best", description="Weights to keep: best on validation, or last.")
    checkpoint_every: Annotated[str, Field(pattern=r"^[1-9]\d*(s|min|steps?|epochs?)$")] = Field(
        "10s",
        description="Interval of checkpoints, the most that an interrupted run loses: seconds, minutes, steps or"
        " epochs, as in 500steps.",
    )
    strategy: Literal["ddp", "fsdp"] = Field(
        "ddp",
        description="Distribution over the processes that torchrun starts: ddp splits each batch; fsdp also splits the"
        " weights and the state of the optimizer.",
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="Precision of the products of encoder and decoder in training. bf16 is faster for large networks,"
        " on GPUs and CPUs that support it, and too coarse for a density to three digits; validation and test use"
        " float32.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="Compile the step, which takes half a minute. auto compiles from 50,000 steps on."
    )

    def plan(self, examples: int) -> tuple[int, int]:
        """Return the number of epochs over so many examples, and the number of steps in each (full batches)."""
        steps = max(1, examples // self.batch_size)
        return self.epochs or ceil(steps_for(examples, STEPS) / steps), steps

    def wait(self, best: int, steps: int) -> int | None:
        """Return the number of epochs without improvement after which training ends; None if it does not.

        Args:
            best: the epoch with the best validation loss.
            steps: number of steps in an epoch.
        """
        if self.patience or self.epochs or self.keep == "last":
            return self.patience
        return max(best, ceil(WAIT / steps))

    def decay(self, examples: int, shape: tuple[int, ...]) -> float:
        """Return the weight decay for so many examples of a shape."""
        if self.weight_decay is not None:
            return self.weight_decay
        return min(DECAY, DECAY_BY_EXAMPLE / examples) if len(shape) == 1 else 0.0

    @property
    def cools(self) -> bool:
        """Whether training goes back to the best weights and lets the learning rate fall, before it ends early."""
        return self.lr_schedule == "linear" and self.keep == "best"

    def learning_rate(self, steps: int) -> float:
        """Return the learning rate of a training of so many steps, before it falls."""
        return self.lr or (LR if steps < LONG else LONG_LR)

    def rate(self, done: float, steps: int) -> float:
        """Return the learning rate after a share `done` of all steps."""
        remaining = min(1.0, (1 - done) / self.lr_decay) if self.lr_schedule == "linear" else 1.0
        return self.learning_rate(steps) * remaining


class Config(Section):
    """Everything that a run is a function of, besides the data."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()
    preset: Preset | None = Field(
        None,
        description="Options that serve a purpose together: density, for points in few dimensions with several modes or"
        " a curved shape; anomalies, for rows whose densities are compared. Other options override them.",
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="Seed of initial weights, order of batches and noise.")

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, content: object) -> object:
        return with_preset(content)

    def without_data_dir(self) -> "Config":
        """Return the same configuration for any location of the data."""
        return self.model_copy(update={"data": self.data.model_copy(update={"data_dir": None})})

    def plugins(self) -> list[str]:
        """Return the modules outside this package that registered the pieces of the run."""
        data = used_plugins({"source": register.dataset}, self.data)
        return sorted({*data, *self.model.plugins(), *self.objective.plugins()})

    def load_options(self) -> dict[str, Any]:
        """Return the keyword arguments of `aevb.data.load_data` for the data of the run."""
        return {**self.data.model_dump(), "condition": self.model.condition}


def command_config() -> type[Config]:
    """Return a subclass of `Config` for the command line, in which the options of all pieces are explicit fields.

    Their help texts, and the names of pieces in those of the other fields, come from the registry. Convert a
    value with ``Config.model_validate(value.model_dump(exclude_unset=True))``.
    """
    sections: dict[str, Any] = {}
    for name, section in (("model", ModelConfig), ("objective", ObjectiveConfig)):
        fields: dict[str, Any] = option_fields(section.PIECES)
        for field, registry in section.PIECES.items():
            info = section.model_fields[field]
            text = f"{info.description}" if field == "then" else f"{info.description} {summaries(registry)}"
            fields[field] = (info.annotation, Field(info.default, description=text))
        extended = create_model(section.__name__, __base__=section, __doc__=section.__doc__, **fields)
        sections[name] = (extended, extended())
    names = ", ".join(register.dataset)
    if names:
        info = DataConfig.model_fields["source"]
        source = (str, Field(info.default, description=f"{info.description} Named data sets: {names}."))
        data: Any = create_model("DataConfig", __base__=DataConfig, __doc__=DataConfig.__doc__, source=source)
        sections["data"] = (data, data())
    return create_model("Config", __base__=Config, __doc__=Config.__doc__, **sections)
