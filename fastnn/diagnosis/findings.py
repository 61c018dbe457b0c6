"""What a diagnosis consists of."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One reason why a network does not learn.

    Attributes
    ----------
    cause : str
        A short name, such as "unscaled_inputs"; :func:`diagnose` lists them.
    number : float
        The measurement behind it, which `problem` explains.
    problem, change : str
        What is wrong, and what to do about it, in words.
    """

    cause: str
    number: float
    problem: str
    change: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.problem}. {self.change}."


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    findings : list of Finding
        The most likely cause first; empty if nothing is wrong.
    share : float
        The loss after training over that of the best constant prediction, on held-out rows: 0 is
        perfect, 1 is no better than the constant.  NaN if no training could be tried.
    updates : int
        How many updates that training made: those of the fit, or as many as time allowed.
    """

    findings: list[Finding]
    share: float
    updates: int = 0

    @property
    def cause(self) -> str | None:
        """The most likely cause, or None if nothing is wrong."""
        return self.findings[0].cause if self.findings else None

    def __repr__(self) -> str:
        lines = []
        if math.isinf(self.share):
            lines.append(f"The loss grows without bounds within {self.updates:,} updates.")
        elif math.isfinite(self.share):
            lines.append(
                f"After {self.updates:,} updates the loss is {self.share:.2g} times that of the "
                "best constant prediction."
            )
        if not self.findings:
            lines.append("Found nothing wrong.")
        for number, finding in enumerate(self.findings, 1):
            lines.append(f"{number}. {finding}")
        return "\n".join(lines)
