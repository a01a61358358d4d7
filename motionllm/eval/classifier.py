"""Labels predicted from embeddings: multinomial logistic regression, trained on real clips, for generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from motionllm.errors import MotionLLMError

PENALTY = 1e-3  # weight of the squared weights, added to the mean loss


@dataclass
class Classifier:
    """classes: in alphabetical order. weights: (D + 1, C), last row the bias. accuracy: on the training clips."""

    classes: list[str]
    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    accuracy: float

    @classmethod
    def fit(cls, embeddings: np.ndarray, labels: Sequence[str], key: str = "label") -> Classifier:
        """Train on (N, D) embeddings and their labels; the same data gives the same classifier.

        Raises MotionLLMError for fewer than two classes.
        """
        classes = sorted(set(labels))
        if len(classes) < 2:
            raise MotionLLMError(f"A classifier of {key!r} needs two classes, and the training clips have {classes}.")
        mean, std = embeddings.mean(0, dtype=np.float64), embeddings.std(0, dtype=np.float64) + 1e-9
        x = _with_constant((embeddings - mean) / std)
        place = {name: i for i, name in enumerate(classes)}
        truth = np.array([place[label] for label in labels])
        hot = np.eye(len(classes))[truth]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(x.shape[1], -1)
            scores = x @ weights
            scores -= scores.max(1, keepdims=True)
            sums = np.exp(scores).sum(1, keepdims=True)
            error = float((np.log(sums[:, 0]) - scores[np.arange(len(x)), truth]).mean())
            slope = x.T @ (np.exp(scores) / sums - hot) / len(x)
            return error + PENALTY * float((weights[:-1] ** 2).sum()), (
                slope + 2 * PENALTY * np.concatenate([weights[:-1], np.zeros((1, weights.shape[1]))])
            ).ravel()

        optimum = minimize(
            loss, np.zeros(x.shape[1] * len(classes)), jac=True, method="L-BFGS-B", options={"maxiter": 300}
        )
        classifier = cls(classes, mean, std, optimum.x.reshape(x.shape[1], -1), 0.0)
        classifier.accuracy = float(np.mean([a == b for a, b in zip(classifier(embeddings), labels, strict=True)]))
        return classifier

    def __call__(self, embeddings: np.ndarray) -> list[str]:
        """The label of each of (N, D) embeddings."""
        scores = _with_constant((embeddings - self.mean) / self.std) @ self.weights
        return [self.classes[i] for i in scores.argmax(1)]


def _with_constant(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
