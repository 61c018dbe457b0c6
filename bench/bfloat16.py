"""Training with products of bfloat16 beside float32: fastnn, PyTorch's autocast, and JAX.

Weights, state and sums are float32 everywhere; what goes into a product is rounded.
"""

import math

from bench import tables
from bench.measure import REST, alternate, in_process
from bench.peers import PEERS, Peer
from bench.workloads import WORKS, disagreement, problem

ROUNDED = {
    "fastnn_bf16": Peer("fastnn, bfloat16", "fastnn_peer", "fastnn", "make_mixed"),
    "torch_bf16": Peer("PyTorch, autocast", "torch_peer", "torch", "make_autocast"),
    "jax_bf16": Peer("JAX scan, bfloat16", "jax_peer", "jax", "make_rounded_scan"),
}
CONTENDERS = {name: PEERS[name] for name in ("fastnn", "torch", "jax_scan")} | ROUNDED
AGREE = 0.2
"""How far from float32's way trained weights of rounded products may end: each factor is off by up
to 2**-9, and where a ReLU's input is near 0, its gradient flips.  Another rate is further off."""
FROM = 2
"""The first of the rows; those before it are too small to gain."""


def main(work: str, threads: int, rounds: int, shortest: float):
    """Return {contender: seconds per epoch} for the named row, and how far each is from float32."""
    data = problem(next(row for row in WORKS if row.name == work))
    installed = {name: peer for name, peer in CONTENDERS.items() if peer.installed}
    trainers = {name: peer.make(data, threads) for name, peer in installed.items()}
    apart = {}
    for name, trainer in trainers.items():
        trainer.run(1)
        apart[name] = disagreement(trainer.weights(), trainers["fastnn"].weights(), data.start)
        if not apart[name] < AGREE:
            raise RuntimeError(f"{name} trains something else: {apart[name]:.2f} from float32")
    contenders = {name: trainer.run for name, trainer in trainers.items()}
    times = alternate(contenders, rounds, shortest, REST, least=3)
    return {name: {"seconds": times[name]["median"], "apart": apart[name]} for name in trainers}


def run(threads: list[int], rounds: int, quick: bool) -> dict:
    """Return what all processes measure."""
    given = {"rounds": rounds, "shortest": 0.03 if quick else 0.2}
    rows = []
    for work in WORKS[FROM:]:
        for count in threads:
            found = in_process("bench.bfloat16", count, work=work.name, **given)
            rows.append({"label": work.label, "threads": count, "contenders": found})
    return {"rows": rows}


def ratio(row, other: str) -> str:
    """Return how many times as long as fastnn with bfloat16 another contender takes."""
    seconds = {name: found["seconds"] for name, found in row["contenders"].items()}
    return f"{seconds.get(other, math.nan) / seconds['fastnn_bf16']:.2f}"


def cells(entry) -> list[list[str]]:
    """Return the header and a row for each work: milliseconds per epoch, and ratios."""
    names = list(entry["rows"][0]["contenders"])
    head = ["work", "threads", *(CONTENDERS[name].name for name in names)]
    found = [[*head, "float32 / bfloat16", "autocast / fastnn"]]
    for row in entry["rows"]:
        times = [tables.digits(1e3 * row["contenders"][name]["seconds"]) for name in names]
        ratios = ratio(row, "fastnn"), ratio(row, "torch_bf16")
        found.append([row["label"], str(row["threads"]), *times, *ratios])
    return found


def block(entry) -> str:
    """Return the generated part of docs/bfloat16.md."""
    about = f"Milliseconds per epoch, medians of {entry['rounds']} rounds, {entry['date']}, on"
    return f"{about} {tables.machine_line(entry['machine'])}\n\n{tables.markdown(cells(entry))}"
