"""A run: a trained model with its data and its run folder, as `aevb.train` and `aevb.load_run` return it."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import torch
from torch import Tensor

from aevb import display, report
from aevb.columns import Value, modelled
from aevb.config.schema import Config
from aevb.data import Dataset, Examples
from aevb.data.loading import row_names
from aevb.data.tables.encode import Table, decode_rows
from aevb.errors import BadInput, option, require_at_least
from aevb.evaluation import Scores, Split
from aevb.evaluation.anomalies import p_values, smallest_rate, threshold
from aevb.evaluation.checks import require_density
from aevb.evaluation.cost import decoder_operations
from aevb.evaluation.diagnosis import Findings, diagnose
from aevb.evaluation.explanation import surprise, texts
from aevb.evaluation.importance_sampling import FIRST_SAMPLES, chosen_samples, per_example
from aevb.evaluation.imputation import Imputed, impute
from aevb.evaluation.latent_means import latent_means
from aevb.evaluation.measures import Effort, measure
from aevb.evaluation.quality import Quality
from aevb.models.vae import VAE
from aevb.runs import sharing, summary
from aevb.runs.export import Exported, export
from aevb.runs.findings import load_findings, save_findings
from aevb.runs.hub import is_address
from aevb.runs.quality import QUALITY
from aevb.runs.records import ReferenceScores
from aevb.runs.reference import load_reference, save_reference
from aevb.runs.run_folder import CHECKPOINT, SHARED_FILES, RunFolder
from aevb.training.history import History
from aevb.workflow.devices import choose_device
from aevb.workflow.quality import table_quality, write_quality
from aevb.workflow.sampling import Request, Samples, conditions, require_table, sample, stated_condition

if TYPE_CHECKING:
    from aevb.explorer import Subject

FEWEST_SCORE_SAMPLES, SCORE_SAMPLES, SCORE_OPERATIONS = 20, 1000, 3e8
"""Smallest and largest limit on the K of an example that is scored, and floating-point operations of its decodings. The
limit depends on the model alone, so that held-out examples and new ones have the same estimator."""
HELD_OUT = 20_000
"""The largest number of test examples whose scores set the threshold, evenly spaced."""

SCORE_COLUMNS = ("row", "log_px", "p_value", "anomaly", "reason", "explanation")
"""Columns of a table of scores, besides those that name the examples."""


class ScoreOptions(TypedDict):
    """Options of `Run.score`."""

    false_alarm_rate: float
    n_importance_samples: int | None
    explain: bool
    seed: int


class ImputeOptions(TypedDict):
    """Options of `Run.impute`."""

    n_imputations: int
    n_importance_samples: int
    seed: int


class Anomalies(NamedTuple):
    """log p(x) of examples, compared with held-out ones.

    Attributes:
        log_px: of each example, in nats, ``(N,)``; -inf for values that cannot occur in the training data.
        reference: log p(x) of held-out examples; None if none were held out.
        threshold: log p(x) below which an example is an anomaly, in nats; None without a reference, or where it is too
            small for the rate.
        outside: why examples are outside of what the training data could have, by index.
        explanations: the most surprising columns of anomalies, by index; None if they were not asked for.
        names: columns that name the examples: `file` of a folder of images, or identifiers of a table.
    """

    log_px: Tensor
    reference: ReferenceScores | None
    threshold: float | None
    outside: Mapping[int, str]
    explanations: Mapping[int, str] | None = None
    names: Mapping[str, Sequence[Value | None]] = MappingProxyType({})

    @property
    def is_anomaly(self) -> Tensor | None:
        """Whether each example is an anomaly, ``(N,)``; None without a threshold."""
        return None if self.threshold is None else self.log_px < self.threshold

    @property
    def p_values(self) -> Tensor | None:
        """Conformal p-value of each example, ``(N,)``; None without a reference."""
        return None if self.reference is None else p_values(self.log_px, _reference(self.reference))

    @property
    def summary(self) -> "AnomalySummary":
        """The number of anomalies, and the threshold."""
        held_out = len(self.reference.log_px) if self.reference else 0
        anomalies = None if self.is_anomaly is None else int(self.is_anomaly.sum())
        return AnomalySummary(len(self.log_px), held_out, anomalies, self.threshold, len(self.outside))

    def table(self, first: int = 0) -> Table:
        """Return the columns row, names, log_px, p_value, anomaly, reason and explanation, if they are present.

        Args:
            first: number of the first example.
        """
        rows = range(len(self.log_px))
        columns: Table = {"row": [first + row for row in rows]}
        columns |= {name: list(values) for name, values in self.names.items() if name not in SCORE_COLUMNS}
        columns["log_px"] = self.log_px.tolist()
        if self.p_values is not None:
            columns["p_value"] = self.p_values.tolist()
        if self.is_anomaly is not None:
            columns["anomaly"] = self.is_anomaly.tolist()
        if self.outside:
            columns["reason"] = [self.outside.get(row) for row in rows]
        if self.explanations is not None:
            columns["explanation"] = [self.explanations.get(row) for row in rows]
        return columns


class AnomalySummary(NamedTuple):
    """How many examples are anomalies.

    Attributes:
        examples: number of examples.
        held_out: number of held-out examples.
        anomalies: number of anomalies; None without a threshold.
        threshold: log p(x) below which an example is an anomaly, in nats; None without one.
        outside: number of examples with values that cannot occur in the training data, all of them anomalies.
    """

    examples: int
    held_out: int
    anomalies: int | None
    threshold: float | None
    outside: int


class Reconstructions(NamedTuple):
    """Examples and their reconstructions.

    Attributes:
        x: the examples, ``(N, *event)``.
        mean: the mean of p(x|z) at the mean of q(z|x), ``(N, *event)``.
        condition: under which they were decoded; None for an unconditional model.
    """

    x: Tensor
    mean: Tensor
    condition: Tensor | None


class Run:
    """A trained model with its data and its run folder.

    Args:
        record: the run folder.
        dataset: the data of the run; loaded when needed if None.
        data_dir: folder of the published data sets, if it has moved since training.
    """

    def __init__(self, record: RunFolder, dataset: Dataset | None = None, *, data_dir: str | None = None) -> None:
        self._record, self._dataset, self._opened_in = record, dataset, Path.cwd()
        self._data_dir = str(Path(data_dir).resolve()) if data_dir else None
        self._references: dict[tuple[int | None, int], ReferenceScores] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {summary.headline(self.record)})"

    def _repr_html_(self) -> str:
        return summary.as_html(self.record)

    @property
    def record(self) -> RunFolder:
        """The run folder, also after a change of the working directory."""
        if Path.cwd() != self._opened_in and not is_address(self._record.folder):
            self._record.folder = self._opened_in / self._record.folder
        return self._record

    @property
    def folder(self) -> Path:
        """Path of the run folder, or its address on the hub."""
        return self.record.folder

    @property
    def model(self) -> VAE:
        """The model, in evaluation mode."""
        return self.record.model

    @property
    def config(self) -> Config:
        """The configuration of the run."""
        return self.record.config

    @property
    def scores(self) -> Scores:
        """Held-out scores."""
        return Scores(self.record.scores)

    @property
    def history(self) -> History:
        """Metrics of each epoch, the epoch whose weights were kept, and how training ended."""
        outcome = self.record.outcome
        ended = outcome.ended if outcome and outcome.ended in ("finished", "early") else "interrupted"
        return History(self.record.epochs, self.record.weights_epoch, ended)

    @property
    def dataset(self) -> Dataset:
        """The data of the run, with the same splits.

        Raises:
            BadInput: they were in memory, cannot be read, or have changed.
        """
        if self._dataset is None:
            self._dataset = self.record.load_data(self._data_dir)
        return self._dataset

    @property
    def interrupted(self) -> bool:
        """Whether training was interrupted."""
        return self.record.outcome is not None and self.record.outcome.ended == "interrupted"

    def evaluate(
        self,
        split: Split = "test",
        *,
        measures: Sequence[str] = ("likelihood",),
        n_importance_samples: int | None = None,
        max_examples: int | None = None,
        memory: int = 1024,
        seed: int = 0,
    ) -> Scores:
        """Evaluate the model on a split and add the scores to scores.json.

        Args:
            split: train, valid or test.
            measures: names of measures, such as likelihood, quadrature, latent-space or sample-quality.
            n_importance_samples: K per example; None to choose the estimator of log p(x).
            max_examples: number of evenly spaced examples. Default: all; 100 for slow measures.
            memory: approximate limit for tensors, in MiB.
            seed: of the importance samples.

        Raises:
            BadInput: a measure is unknown or does not apply, or the data cannot be read.
        """
        require_at_least(1, n_importance_samples=n_importance_samples, max_examples=max_examples, memory=memory)
        require_at_least(0, seed=seed)
        measures = [measures] if isinstance(measures, str) else measures
        effort = Effort(n_importance_samples, max_examples, seed, memory * 2**20)
        scores = Scores()
        for name in measures:
            scores += measure(name, self.model, self.dataset, split, effort)
            self.record.save_scores(scores)
        return scores

    def diagnose(self, *, seed: int = 0) -> Findings:
        """Return the problems of the model and write them to findings.json. The test split is not used.

        Args:
            seed: of the importance samples.

        Raises:
            BadInput: the run has no complete epoch or fewer than two validation examples.
        """
        trained = (self.model, self.record.config, self.record.resolved, self.record.epochs)
        findings = diagnose(*trained, self.dataset, seed=seed)
        save_findings(self.folder, findings)
        return findings

    def sample(
        self,
        n_samples: int = 100,
        *,
        condition: Mapping[str, object] | None = None,
        given: Mapping[str, object] | None = None,
        where: Sequence[str] = (),
        noise: bool = False,
        seed: int = 0,
    ) -> Tensor:
        """Return samples of the model, ``(n_samples, *event)``: decoded samples from the prior.

        Args:
            n_samples: number of samples.
            condition: values by name, for a conditional model. Default: each class in turn.
            given: values of columns by name, for a model of a table: samples of the other columns from p(x|given), as
                `impute` samples missing values.
            where: constraints on the rows of a table, such as "age >= 18" or "start <= end": rows that do not satisfy
                them are rejected.
            noise: sample images from p(x|z) instead of returning its mean; always the case for rows.
            seed: of the samples.

        Raises:
            BadInput: the condition, a given value or a constraint does not suit the model, or fewer than one sample in
                a thousand satisfies the constraints.
        """
        return self.draw_samples(n_samples, Request(condition or {}, given or {}, where, noise, seed)).x

    def table(self, x: Tensor, condition: Tensor | None = None) -> Table:
        """Return rows as the columns of their table, with its values; ``pandas.DataFrame(run.table(run.sample(5)))``.

        Args:
            x: rows of the model, such as samples, reconstructions or one of several imputations, ``(N, D)``.
            condition: of the rows, ``(N, C)``, or of all, ``(1, C)``; None for an unconditional model.

        Raises:
            BadInput: the model is not of a table.
        """
        require_table(self.record, "a table of rows")
        data, values = self.record.data, None if condition is None else condition.numpy()
        if data.condition_columns and values is None:
            raise BadInput("the model is conditional: pass the condition of the rows")
        return decode_rows(data.columns, x.numpy(), data.condition_columns, values)

    def draw_samples(self, n_samples: int, request: Request) -> Samples:
        """Return samples of the model with their conditions, and the number that was drawn for constraints."""
        return sample(self.record, n_samples, request)

    def encode(self, data: object = None) -> Tensor:
        """Return the means of q(z|x), ``(N, Z)``.

        Args:
            data: examples like the training data; the test split if None.

        Raises:
            BadInput: the data cannot be read, or differ from the training data in kind, shape or columns.
        """
        return latent_means(self.model, self._examples(data))

    def reconstruct(
        self, data: object = None, *, max_examples: int | None = None, condition: Mapping[str, object] | None = None
    ) -> Reconstructions:
        """Return examples and their reconstructions, the mean of p(x|z) at the mean of q(z|x).

        Args:
            data: examples like the training data; the test split if None.
            max_examples: number of examples, from the first. Default: all.
            condition: values by name under which a conditional model decodes. Default: those of each example.

        Raises:
            BadInput: the data cannot be read, or the condition does not suit the model.
        """
        require_at_least(1, max_examples=max_examples)
        batch = self._examples(data)[:max_examples].all()
        values = conditions(self.record, condition, len(batch.x)) if condition else batch.condition
        with torch.no_grad():
            z = self.model.decoder_input(self.model.latent_means(batch.to(self.model.device)))
            return Reconstructions(batch.x, self.model.decode(z, values).mean.cpu(), values)

    def score(
        self,
        data: object,
        *,
        false_alarm_rate: float = 0.05,
        n_importance_samples: int | None = None,
        explain: bool = False,
        seed: int = 0,
    ) -> Anomalies:
        """Return log p(x) of each example, and the threshold below which it is an anomaly.

        A value that cannot occur in the training data, such as 1.3 where they lie in [0, 1] or a new category, makes an
        example an anomaly with log p(x) = -inf.

        Args:
            data: examples like the training data.
            false_alarm_rate: largest share of normal examples that are flagged as anomalies.
            n_importance_samples: K per example; None for as many as an example needs; an estimator's own K where it
                held out rows.
            explain: whether to name the columns that make each anomaly unlikely; without a threshold, of each row.
            seed: of the importance samples.

        Raises:
            BadInput: the data cannot be read, or are to be explained and are no table.
        """
        require_at_least(1, n_importance_samples=n_importance_samples)
        require_at_least(0, seed=seed)
        if not 0 < false_alarm_rate < 1:
            raise BadInput(f"{option('false-alarm-rate', false_alarm_rate)} is no rate: expected one between 0 and 1")
        if explain:
            require_table(self.record, option("explain"))
        outside: dict[int, str] = {}
        examples = self._examples(data, outside)
        reference = self.reference_scores(n_importance_samples, seed)
        if reference:
            n_importance_samples, seed = reference.n_importance_samples, reference.seed
        model = copy.deepcopy(self.model).double() if self.record.estimator else self.model
        log_px = _log_px(model, examples, n_importance_samples, seed, equal=True)
        log_px[list(outside)] = -inf
        limit = None
        if reference and false_alarm_rate >= smallest_rate(len(reference.log_px)):
            limit = threshold(_reference(reference), false_alarm_rate)
        found = Anomalies(log_px, reference, limit, outside, names=self.row_names(data))
        return found._replace(explanations=self._explanations(found, examples, model, seed)) if explain else found

    def row_names(self, data: object) -> Table:
        """Return columns that name examples: `file` of a folder of images, or identifiers of a table.

        The identifiers are the columns that were excluded from the training data because their values differ.

        Args:
            data: examples like the training data.
        """
        if data is None or isinstance(data, Examples | Iterator):
            return {}
        return row_names(data, self.record.data.identifiers, self.record.config.data.missing)

    def _explanations(self, found: Anomalies, examples: Examples, model: VAE, seed: int) -> dict[int, str]:
        """Return the most surprising columns of the anomalies, by index."""
        chosen = torch.ones(len(examples)) if found.is_anomaly is None else found.is_anomaly
        index = [row for row in chosen.nonzero().flatten().tolist() if row not in found.outside]
        if not index:
            return {}
        surprises = surprise(model, examples[torch.tensor(index)], seed=seed)
        return dict(zip(index, texts(surprises, self.record.data.columns), strict=True))

    def explain(self, data: object, *, seed: int = 0) -> dict[str, Tensor]:
        """Return how surprising each value is, given the others of its row: in nats, ``(N,)`` by column.

        See `aevb.evaluation.explanation`. A data frame of the result is ``pandas.DataFrame(run.explain(data))``.

        Args:
            data: rows with the columns of the training data.
            seed: of the samples.

        Raises:
            BadInput: the model is not of a table, or the data cannot be read.
        """
        surprises = surprise(self.model, self.table_examples(data), seed=seed)
        names = [column.name for column in modelled(self.record.data.columns)]
        return dict(zip(names, surprises.unbind(1), strict=True))

    def impute(
        self, data: object, *, n_imputations: int = 100, n_importance_samples: int = 1000, seed: int = 0
    ) -> Imputed:
        """Return samples of the missing values of a table from p(missing | observed).

        Args:
            data: rows with the columns of the training data.
            n_imputations: number of samples per row.
            n_importance_samples: K, candidates for z from which they are resampled.
            seed: of the samples.

        Raises:
            BadInput: the model is not of a table, or the data cannot be read.
        """
        require_at_least(1, n_imputations=n_imputations, n_importance_samples=n_importance_samples)
        require_at_least(0, seed=seed)
        examples = self.table_examples(data)
        return impute(self.model, examples, n_imputations, n_importance_samples=n_importance_samples, seed=seed)

    def table_examples(self, data: object) -> Examples:
        """Return the rows of a table for the model.

        Raises:
            BadInput: the model is not of a table, or the data cannot be read.
        """
        require_table(self.record, "imputation")
        return self._examples(data)

    def quality(self, synthetic: object = None, *, seed: int = 0) -> Quality:
        """Return the quality of synthetic rows, compared with the test rows.

        Args:
            synthetic: rows with the columns of the training data; None samples as many rows from the model as there are
                training rows.
            seed: of the samples, and of the rows and classifiers that compare them.

        Raises:
            BadInput: the model is not of a table, or the data cannot be read.
        """
        require_table(self.record, "quality")
        return table_quality(self.record, self.dataset, synthetic, seed=seed, data_dir=self._data_dir)

    def explore(self, *others: "Run", condition: Mapping[str, object] | None = None) -> display.Page:
        """Write explorer.html, an interactive page of the model, and return its path; a notebook displays the page.

        Args:
            others: at most one other run, shown side by side.
            condition: values by name, for a conditional model.

        Raises:
            BadInput: a network cannot be exported or is too large, or the condition does not suit the model.
        """
        from aevb import explorer  # which takes a while to import, as matplotlib does

        path = explorer.explore([run.explorable(condition) for run in (self, *others)])
        if (path.parent / "report.html").is_file():  # the report links to the page
            report.write_run(self.record, load_findings(self.folder), self.dataset)
        return display.Page(path)

    def explorable(self, condition: Mapping[str, object] | None = None) -> "Subject":
        """Return the record and the data for the explorer; a conditional model under a condition."""
        from aevb import explorer

        if not (condition or self.record.data.condition_columns):
            return explorer.Subject(self.record, self.dataset)
        return explorer.under(self.record, self.dataset, stated_condition(self.record, condition or {}))

    def report(self) -> Path:
        """Draw the figures, diagnose the model, measure samples of a table, write report.html and return its path.

        Raises:
            BadInput: the data cannot be read, or a file cannot be written.
        """
        from aevb import plots

        for name, figure in plots.figures(self.record, self.dataset):
            self.record.save_figure(name, partial(plots.save, figure))
        findings = None
        if self.record.epochs and len(self.dataset.valid) > 1:
            findings = self.diagnose()
        if self.record.data.columns:
            write_quality(self.quality(), self.folder / QUALITY)
        return report.write_run(self.record, findings, self.dataset)

    def output_file(self, chosen: Path | None, name: str) -> Path:
        """Return the path of an output: the chosen one, or that of a name in the run folder.

        Raises:
            BadInput: it is a file that makes up the run.
        """
        path = chosen or self.folder / name
        if path.resolve() in {(self.folder / own).resolve() for own in (*SHARED_FILES, CHECKPOINT)}:
            raise BadInput(f"{path} is a file of the run itself: choose another name")
        return path

    def export(self, folder: str | Path | None = None) -> list[Exported]:
        """Write encoder.onnx and decoder.onnx and compare them with PyTorch.

        Args:
            folder: to write into. Default: onnx in the run folder.

        Raises:
            BadInput: an operation cannot be exported, or a file cannot be written.
        """
        return export(self.record, Path(folder) if folder else self.folder / "onnx")

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the run with a model card into a folder that does not exist or is empty, without its data.

        Raises:
            BadInput: the folder already exists or cannot be written.
        """
        sharing.save_pretrained(self.record, folder)

    def push_to_hub(self, repo_id: str) -> str:
        """Upload the run with a model card to the Hugging Face hub and return the address of the commit.

        Args:
            repo_id: OWNER/NAME, or NAME in your own namespace; created if it does not exist.

        Raises:
            BadInput: the repository cannot be reached or written, or the extra `hub` is not installed.
        """
        return sharing.push_to_hub(self.record, repo_id)

    def _examples(self, data: object, outside: dict[int, str] | None = None) -> Examples:
        if data is None:
            return self.dataset.test.materialize()
        return data if isinstance(data, Examples) else self.record.read_examples(data, self._data_dir, outside)

    def reference_scores(self, n_importance_samples: int | None = None, seed: int = 0) -> ReferenceScores | None:
        """Return log p(x) of held-out examples, which is measured once; None for an estimator that held out none.

        Args:
            n_importance_samples: K per example; None for as many as an example needs.
            seed: of the importance samples.
        """
        if self.record.estimator:
            return self.record.estimator.reference
        key = n_importance_samples, seed
        if key not in self._references:
            self._references[key] = load_reference(self.folder, *key) or self._measured_reference(*key)
        return self._references[key]

    def _measured_reference(self, n_importance_samples: int | None, seed: int) -> ReferenceScores:
        """Return log p(x) of the test examples, and keep it in the run folder."""
        examples = self.dataset.test.subsample(HELD_OUT).materialize()
        log_px = _log_px(self.model, examples, n_importance_samples, seed)
        scores = ReferenceScores(log_px=log_px.tolist(), n_importance_samples=n_importance_samples, seed=seed)
        save_reference(self.folder, scores)
        return scores


def _log_px(model: VAE, examples: Examples, n_importance_samples: int | None, seed: int, equal: bool = False) -> Tensor:
    """Return log p(x) of each example, ``(N,)``, which depends on no other example.

    Raises:
        BadInput: the model is an autoencoder.
    """
    require_density(model.posterior_has_density, "log p(x)")
    if n_importance_samples:
        return per_example(model, examples, n_importance_samples, seed=seed, equal=equal).log_px
    affordable = int(SCORE_OPERATIONS / max(1, decoder_operations(model, examples)))
    most = max(FEWEST_SCORE_SAMPLES, min(SCORE_SAMPLES, affordable))
    if most <= FIRST_SAMPLES:
        return per_example(model, examples, most, seed=seed, equal=equal).log_px
    return chosen_samples(model, examples, most, seed=seed, equal=equal)[1].log_px


def _reference(scores: ReferenceScores) -> Tensor:
    return torch.tensor(scores.log_px, dtype=torch.float64)


def load_run(folder: str | Path, device: torch.device | str = "cpu", *, data_dir: str | None = None) -> "Run":
    """Load a run folder.

    Args:
        folder: its path, or an address on the Hugging Face hub, hub:OWNER/NAME or hub:OWNER/NAME@REVISION.
        device: of the model; auto uses a GPU if there is one.
        data_dir: folder of the published data sets, if it has moved since training.

    Raises:
        BadInput: the folder is not a run folder, a file is missing or damaged, or a newer version wrote it.
    """
    return Run(RunFolder.load(folder, choose_device(device)), data_dir=data_dir)
