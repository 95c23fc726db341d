"""A small back-off trigram model in ARPA text form, with absolute discounting. Pure.

The format is that of the NIST/SRI tools: log10 probabilities and back-off weights.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

DISCOUNT = 0.5
"""Taken from every seen count (Ney, Essen and Kneser, 1994) and given to the unseen."""

_FLOOR = -99.0
_Gram = tuple[str, ...]


def arpa(sentences: Iterable[tuple[str, int]], order: int = 3) -> str:
    """Return the ARPA text of a model of ``sentences`` (each with its count)."""
    counts: list[Counter[_Gram]] = [Counter() for _ in range(order)]
    for sentence, times in sentences:
        words = ("<s>", *sentence.split(), "</s>")
        for length in range(1, order + 1):
            for start in range(len(words) - length + 1):
                counts[length - 1][words[start : start + length]] += times
    probabilities = [_unigrams(counts[0])]
    backoffs: list[dict[_Gram, float]] = []
    for length in range(2, order + 1):
        grams, weights = _higher(counts[length - 1], probabilities[-1], probabilities, backoffs)
        probabilities.append(grams)
        backoffs.append(weights)
    return _text(probabilities, backoffs)


def _unigrams(counts: Counter[_Gram]) -> dict[_Gram, float]:
    total = sum(count for gram, count in counts.items() if gram != ("<s>",))
    return {gram: (0.0 if gram == ("<s>",) else count / total) for gram, count in counts.items()}


def _higher(
    counts: Counter[_Gram],
    lower: dict[_Gram, float],
    probabilities: list[dict[_Gram, float]],
    backoffs: list[dict[_Gram, float]],
) -> tuple[dict[_Gram, float], dict[_Gram, float]]:
    followers: defaultdict[_Gram, list[tuple[_Gram, int]]] = defaultdict(list)
    for gram, count in counts.items():
        followers[gram[:-1]].append((gram, count))
    grams: dict[_Gram, float] = {}
    weights: dict[_Gram, float] = {}
    for history, seen in followers.items():
        total = sum(count for _, count in seen)
        for gram, count in seen:
            grams[gram] = (count - DISCOUNT) / total
        free = DISCOUNT * len(seen) / total
        taken = sum(_probability(gram[1:], lower, probabilities, backoffs) for gram, _ in seen)
        weights[history] = free / max(1e-6, 1.0 - taken)
    return grams, weights


def _probability(
    gram: _Gram,
    lower: dict[_Gram, float],
    probabilities: list[dict[_Gram, float]],
    backoffs: list[dict[_Gram, float]],
) -> float:
    if gram in lower:
        return lower[gram]
    weight = backoffs[len(gram) - 2].get(gram[:-1], 1.0)
    return weight * _probability(gram[1:], probabilities[len(gram) - 2], probabilities, backoffs)


def _text(probabilities: list[dict[_Gram, float]], backoffs: list[dict[_Gram, float]]) -> str:
    lines = ["\\data\\"]
    lines += [f"ngram {length}={len(grams)}" for length, grams in enumerate(probabilities, 1)]
    for length, grams in enumerate(probabilities, 1):
        lines += ["", f"\\{length}-grams:"]
        weights = backoffs[length - 1] if length <= len(backoffs) else None
        for gram in sorted(grams):
            line = f"{_log(grams[gram]):.4f} {' '.join(gram)}"
            lines.append(f"{line} {_log(weights.get(gram, 1.0)):.4f}" if weights is not None else line)
    return "\n".join([*lines, "", "\\end\\", ""])


def _log(value: float) -> float:
    return max(_FLOOR, math.log10(value)) if value > 0 else _FLOOR
