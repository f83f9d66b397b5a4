"""What becomes of a text that was classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Calibrate = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class Example:
    """A text whose labels are known.

    Attributes:
        text: the text.
        labels: its label; in multi-label mode all that apply, possibly none.
    """

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """One text's labels.

    Attributes:
        label: the likeliest label, or None where the classifier abstained, no label applies (multi-label mode), or the
            text could not be classified.
        labels: in multi-label mode the labels that apply, likeliest first; otherwise the one label, or nothing.
        probabilities: of each label, in the labels' order. They sum to 1; in multi-label mode each stands for itself.
            Calibrated, where the classifier calibrates. Empty where there is an error.
        log_probs: of each label as the model gives them, not calibrated: the natural logarithm of the probability that
            the answer is this label (begins with it, where no label begins another); in multi-label mode of "yes" less
            that of "no".
        margin: the first probability minus the second; in multi-label mode the least |2p - 1| of all labels. 0..1.
        error: why the text could not be classified, in one line; "" where it could.
    """

    label: str | None
    labels: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    log_probs: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.0
    error: str = ""
