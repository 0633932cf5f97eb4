"""Evaluation of trained models on held-out examples, independent of how they were trained."""

from aevb.evaluation.measures import evaluate
from aevb.evaluation.scores import Score, Scores, Split, mean_score

__all__ = ["Score", "Scores", "Split", "evaluate", "mean_score"]
