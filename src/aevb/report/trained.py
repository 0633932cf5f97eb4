"""What the page of a run says: its numbers, what the doctor finds, its figures, and how to use it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from aevb.evaluation.scores import TITLES, Score
from aevb.report import settings
from aevb.runs import summary
from aevb.runs.run import Run
from aevb.workflow.diagnosis import EXPLAINS, Finding

CAPTIONS = {
    "training": ("Training", "The terms of the objective over the epochs, in nats per example."),
    "reconstructions": ("Reconstructions", "Test examples, and the mean of p(x|z) at the mean of q(z|x)."),
    "samples": ("Samples", "What the model draws from the prior."),
    "manifold": ("The latent plane, decoded", "The mean of p(x|z) at even quantiles of the prior."),
    "latent": ("Codes", "The means of q(z|x) of test examples."),
}
HEADLINE = ("log_px", "bound", "rate", "distortion")
"""Scores of the test part that stand at the top."""
FILES = ("config.json", "scores.json", "metrics.jsonl", "model.safetensors")


class Shown(NamedTuple):
    """A figure of the run.

    Attributes:
        title, caption: in words.
        file: where it is.
        width, height: in pixels.
    """

    title: str
    caption: str
    file: Path
    width: int
    height: int


@dataclass(frozen=True)
class RunPage:
    """Everything that there is to say of a run.

    Attributes:
        run: with its scores.
        findings: of the doctor; None where there was nothing to judge by.
    """

    run: Run
    findings: Sequence[Finding] | None
    checks = len(EXPLAINS)

    @property
    def title(self) -> str:
        """The run's name."""
        return self.run.folder.resolve().name

    @property
    def description(self) -> Mapping[str, str]:
        """Data, model, training."""
        return summary.description(self.run)

    @property
    def headline(self) -> dict[str, str]:
        """The first numbers that one wants, of the test part; a dagger marks a doubtful one."""
        return {
            f"{TITLES[score.name]}, nats": summary.with_error(score) + " †" * bool(score.note)
            for score in self._foremost
        }

    @property
    def doubts(self) -> list[str]:
        """What a dagger means."""
        return list(dict.fromkeys(score.note for score in self._foremost if score.note))

    @property
    def _foremost(self) -> list[Score]:
        found = {score.name: score for score in self.run.scores if score.split == "test"}
        return [found[name] for name in HEADLINE if name in found]

    @property
    def numbers(self) -> summary.Numbers:
        """All scores."""
        return summary.numbers(self.run)

    @property
    def figures(self) -> list[Shown]:
        """Those that are there."""
        return list(_figures(self.run.folder / "figures"))

    @property
    def explored(self) -> bool:
        """Whether there is an explorer beside the page."""
        return (self.run.folder / "explorer.html").is_file()

    @property
    def commands(self) -> dict[str, str]:
        """What can be done with the run, by name."""
        folder = shlex.quote(str(self.run.folder))
        again = shlex.quote(str(self.run.folder / "config.json"))
        return {
            "explore": f"aevb explore {folder}",
            "evaluate": f"aevb evaluate {folder} --samples 5000",
            "sample": f"aevb sample {folder} --count 100",
            "again": f"aevb train --config {again}",
        }

    @property
    def settings(self) -> list[str]:
        """Where the configuration differs from the defaults."""
        return settings.differences(self.run.config)

    @property
    def config(self) -> str:
        """All of the configuration."""
        return settings.whole(self.run.config)

    @property
    def files(self) -> list[str]:
        """What else is in the folder."""
        return [name for name in FILES if (self.run.folder / name).is_file()]

    @property
    def versions(self) -> dict[str, str]:
        """Of what it was made with."""
        return settings.versions()


def gather(run: Run, findings: Sequence[Finding] | None) -> RunPage:
    """What there is to say of a run, with remedies that can be copied.

    Args:
        run: with its scores.
        findings: of the doctor; None where there was nothing to judge by.
    """
    folder = shlex.quote(str(run.folder))
    named = findings and [replace(finding, remedy=finding.remedy.replace("RUN", folder)) for finding in findings]
    return RunPage(run, named)


def _figures(folder: Path) -> Iterator[Shown]:
    for name, (title, caption) in CAPTIONS.items():
        file = folder / f"{name}.png"
        if file.is_file():
            with Image.open(file) as image:
                yield Shown(title, caption, file, *image.size)
