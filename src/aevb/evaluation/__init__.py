"""What a trained model is worth, on examples it has not seen. A model is judged alike however it was trained."""

from aevb.evaluation.likelihood import evaluate
from aevb.evaluation.scores import Score, Split, mean_score

__all__ = ["Score", "Split", "evaluate", "mean_score"]
