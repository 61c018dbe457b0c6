"""The listing in docs/engine.md: ``python -m tests.walkthrough`` brings it up to date."""

from pathlib import Path

import numpy as np

import fastnn

PAGE = Path(__file__).resolve().parent.parent / "docs" / "engine.md"
BEGIN, END = "<!-- listing:begin -->\n", "<!-- listing:end -->\n"


def explanation():
    """Explain a batch of 200-64-1, on one thread."""
    network = fastnn.Network(
        [fastnn.Dense(64, "relu"), fastnn.Dense(1)], loss="mae", optimizer="sgd", n_threads=1
    )
    return network.explain(
        np.zeros((20_000, 200), np.float32), np.zeros((20_000, 1), np.float32), batch_size=10
    )


def page():
    """Return the page with the listing as it is now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} lacks {BEGIN!r} or {END!r}"
    return f"{before}{BEGIN}```\n{explanation()}\n```\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
