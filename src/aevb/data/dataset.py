"""Data sets: training, validation and test examples and their description."""

from dataclasses import dataclass
from hashlib import blake2b

from aevb import display
from aevb.columns import Column, TextForm
from aevb.data import image_sheet
from aevb.data.binarization import Binarize
from aevb.data.examples import Examples, ExampleSource
from aevb.data.out_of_core import OutOfCoreExamples, Rows
from aevb.data.tables.encode import decode_rows
from aevb.data.tables.summary import TITLES, ColumnSummary
from aevb.data.value_kinds import Kind, described
from aevb.errors import counted

IN_MEMORY = "(in memory)"
"""Name of data that were passed as an object in memory."""
IMAGES, ROWS, ELEMENTS = 20, 5, 8
"""The largest numbers of images, rows and elements of a row that a notebook displays."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test examples.

    Attributes:
        name: name for messages and pages.
        kind: kind of the values.
        shape: shape of one example, ``*event``.
        train: training examples; some of them if they are stored out of core.
        valid: validation examples.
        test: test examples.
        binarize: how values in [0, 1] are binarized.
        classes: names of the labels 0, 1, ...; None without labels.
        columns: columns of a table.
        condition_columns: columns that a conditional model receives and does not model.
        summaries: what was found in the columns of a table.
        notes: what was done to the data that their owner may not expect, a line each.
        out_of_core: all training examples, if they are not in memory.
        rows: numbers of the training, validation and test examples in the source; None if they are not known.
        byte_scale: factor that maps the bytes of the source to values; None if the source had no bytes.
        white: the value of the source that is 1.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    train: Examples
    valid: Examples
    test: Examples
    binarize: Binarize
    classes: tuple[str, ...] | None
    columns: tuple[Column, ...] = ()
    condition_columns: tuple[Column, ...] = ()
    summaries: tuple[ColumnSummary, ...] = ()
    notes: tuple[str, ...] = ()
    out_of_core: OutOfCoreExamples | None = None
    rows: tuple[Rows, ...] | None = None
    byte_scale: float | None = None
    white: float = 1.0
    text_form: TextForm | None = None

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {self._sizes}; {self._content})"

    def _repr_html_(self) -> str:
        title = f"Data set {self.name}"
        lines = (f"{self._sizes}; {self._content}", *self.notes)
        return display.block(title, *map(display.note, lines), _columns(self), _examples(self))

    @property
    def column_cells(self) -> list[tuple[str, ...]]:
        """What was found in the columns of a table, as texts below `aevb.data.tables.summary.TITLES`."""
        conditions = {column.name for column in self.condition_columns}
        return [summary.cells(summary.name in conditions) for summary in self.summaries]

    @property
    def _sizes(self) -> str:
        return f"{self.n_train:,} train, {len(self.valid):,} validation, {len(self.test):,} test"

    @property
    def _content(self) -> str:
        """The shape and kind of an example, or the number of columns, and the number of classes."""
        shape = " x ".join(map(str, self.shape))
        content = counted(len(self.columns), "column") if self.columns else f"{shape}, {described(self.kind)}"
        binarized = "" if self.binarize == "none" else f", binarization: {self.binarize}"
        return content + binarized + (f", {len(self.classes)} classes" if self.classes else "")

    @property
    def train_source(self) -> ExampleSource:
        """All training examples."""
        return self.out_of_core or self.train

    @property
    def n_train(self) -> int:
        """The number of training examples."""
        return len(self.train_source)

    @property
    def largest(self) -> int:
        """The largest value, rounded to a whole number."""
        splits = (self.train, self.valid, self.test)
        return int(max(float(split.values.max()) * split.scale for split in splits))

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of all values, their splits and their description, to recognize the data of a run.

        For training examples stored out of core: of those in memory, the number of all, and the size of the files.
        """
        digest = blake2b(f"{self.kind} {self.binarize}".encode(), digest_size=16)
        for column in (*self.columns, *self.condition_columns):
            digest.update(
                column.model_dump_json(exclude={"dtype", "notation", "typical"}).encode()
            )  # equal for files and frames
        for split in (self.out_of_core or self.train, self.valid, self.test):
            for content in split.content():
                digest.update(content)
        return digest.hexdigest()


def _columns(dataset: Dataset) -> str:
    """Return the columns of a table as HTML: their types and values."""
    return display.table(TITLES, dataset.column_cells) if dataset.summaries else ""


def _examples(dataset: Dataset) -> str:
    """Return the first training examples as HTML: images, rows of a table, or vectors."""
    some = dataset.train[: IMAGES if len(dataset.shape) == 3 else ROWS]
    values = some.values * some.scale
    if len(dataset.shape) == 3:
        sheet = image_sheet.printed(values, IMAGES // 2)
        return image_sheet.as_html(sheet, max(1, 480 // sheet.shape[1]))
    if not dataset.columns:
        rows = [[f"{value:.4g}" for value in row[:ELEMENTS]] for row in values.flatten(1).tolist()]
        return display.table([f"x{number}" for number in range(len(rows[0]))], rows)
    condition = None if some.condition is None else some.condition.numpy()
    table = decode_rows(dataset.columns, values.numpy(), dataset.condition_columns, condition)
    cells = zip(*table.values(), strict=True)
    return display.table(list(table), [["" if cell is None else str(cell) for cell in row] for row in cells])


@dataclass(frozen=True, eq=False)
class UnsplitData:
    """All examples of a source, before they are split.

    Attributes:
        name: name of the source.
        examples: all examples; some of them if they are stored out of core.
        classes: names of the labels 0, 1, ...; None without labels.
        valid_from: index of the first validation example, if the source has its own validation split; test examples
            follow.
        test_from: index of the first test example, if the source has its own test split.
        validation: default share of validation examples.
        columns: columns of a table.
        condition_columns: columns of the condition.
        summaries: what was found in the columns of a table.
        notes: what was done to the data that their owner may not expect, a line each.
        out_of_core: all examples, if they are not in memory.
        white: the value that becomes 1, of images with 16 bits; None for other data.
        text_form: delimiter and encoding of a text file; None for other data.
        image_files: whether the examples were read from image files, which have a scale of their own.
    """

    name: str
    examples: Examples
    classes: tuple[str, ...] | None = None
    valid_from: int | None = None
    test_from: int | None = None
    validation: float = 0.1
    columns: tuple[Column, ...] = ()
    condition_columns: tuple[Column, ...] = ()
    summaries: tuple[ColumnSummary, ...] = ()
    notes: tuple[str, ...] = ()
    out_of_core: OutOfCoreExamples | None = None
    white: float | None = None
    text_form: TextForm | None = None
    image_files: bool = False
