"""The listings of the pages: found, run in order, and their outputs compared.

A block ```` ```python ```` runs in the namespace of those above it on the page.  A block
```` ```text ```` right below it is what it prints.  A comment ``<!-- run ... -->`` runs as Python
too: it makes what a page takes as given.  Lines ``fastnn ...`` of a block without a language run
too, in the order of the page.  ``python -m tests.listings PAGE...`` writes
the outputs.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastnn.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```$(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"^fastnn ", re.MULTILINE)
_HIDDEN = re.compile(r"^<!-- run\n(.*?)^-->$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
_TOLERANCE = 0.05


class Listing(NamedTuple):
    """A block of a page: its language ("python" or ""), its text, and the output shown or None."""

    language: str
    body: str
    output: str | None


def listings(page: Path) -> list[Listing]:
    """Return the listings of a page that run."""
    text = _HIDDEN.sub(r"```python\n\1```", page.read_text(encoding="utf-8"))
    found = [Listing(m["language"], m["body"], m["output"]) for m in _BLOCK.finditer(text)]
    return [
        block
        for block in found
        if block.language == "python" or (block.language == "" and _COMMAND.search(block.body))
    ]


def run(blocks: list[Listing]) -> Iterator[str]:
    """Run the listings in the current directory, and yield what each prints."""
    names: dict[str, object] = {"__name__": "listing"}
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.language == "python":
                exec(compile(block.body, "listing", "exec"), names)
            else:
                for line in block.body.splitlines():
                    words = shlex.split(line)
                    if words[:1] == ["fastnn"] and main(words[1:]) != 0:
                        raise AssertionError(f"{line} failed")
        yield printed.getvalue()


def same(shown: str, printed: str) -> bool:
    """Whether two outputs have the same words, and numbers that agree to a few percent.

    Processors round differently, so digits may.

    Examples
    --------
    >>> same("error 44, 0.50", "error 45, 0.51"), same("error 44", "error 60"), same("a", "b")
    (True, False, False)
    """
    if _NUMBER.sub("#", shown).split() != _NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_close(a, b) for a, b in pairs)


def _close(shown: str, printed: str) -> bool:
    decimals = len(shown.partition(".")[2]) if "e" not in shown else 30
    unit = 10.0**-decimals if "." in shown or "e" in shown else 1.0
    a, b = float(shown), float(printed)
    share = 0.3 if "e" in shown else _TOLERANCE  # one digit and a power
    return abs(a - b) <= max(1.01 * unit, share * abs(a))


def write(page: Path) -> None:
    """Put what the Python listings print below them."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory:
        before = os.getcwd()
        os.chdir(directory)
        blocks = listings(page)
        outputs = dict(zip(blocks, run(blocks), strict=True))
        os.chdir(before)
    for block, output in outputs.items():
        if block.language == "python" and output:
            old = f"```python\n{block.body}```\n"
            shown = "" if block.output is None else f"\n```text\n{block.output}```\n"
            text = text.replace(old + shown, f"{old}\n```text\n{output}```\n")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name).resolve())
