"""A random part of a medium, and what checking it is worth."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

__all__ = ["choose_sample", "confidence_sentence"]

_CONFIDENCE = 0.95


def choose_sample(count: int, percent: float, chance: random.Random | None = None) -> Sequence[int]:
    """Return the numbers of the pieces to check, out of ``count``: at least one, without repetition, in order."""
    wanted = min(count, max(1, round(count * percent / 100)))
    return sorted((chance or random.SystemRandom()).sample(range(count), wanted))


def confidence_sentence(checked: int, count: int, unit: str) -> str:
    """Say what a sample of ``checked`` of ``count`` pieces without a fault is worth.

    Were a share ``f`` of all pieces damaged, anywhere, the sample would have missed all of them with a probability of
    at most ``(1 - f) ** checked``; ``f`` is given for which that is 5 %.
    """
    if checked >= count:
        return f"All {count:,} {unit} were checked."
    percent = _rounded_up(100 * (1 - (1 - _CONFIDENCE) ** (1 / checked)))
    return (
        f"{checked:,} of {count:,} {unit}, chosen at random, were checked: if {percent} % of all or more were damaged, "
        "the sample would have shown it with a probability of at least 95 %. The rest was not read."
    )


def _rounded_up(value: float) -> str:
    """Return ``value`` with two digits, never less than it is: a smaller one would promise more than was shown."""
    number = Decimal(value)
    return format(number.quantize(Decimal(1).scaleb(number.adjusted() - 1), ROUND_CEILING), "f")
