"""What fastnn promises and which tests check it; ``python -m tests.promises`` writes the page."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests import long_runs, test_bits, test_fuzz
from tests.cases import CASES, DTYPES, base
from tests.configured import KINDS, defaults
from tests.fuzz import forms
from tests.fuzz.properties import properties
from tests.networks import NETWORKS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"

PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    # By section and promise: the tests, as the beginnings of their names after "tests/test_".
    "The numbers are right": {
        "Every kernel gives what its NumPy twin gives, to rounding, at all sizes and on NaN, "
        "infinity and huge values": ("parity.py",),
        "A trained network is the one that the twins train": (
            "promises.py::test_compiled_and",
            "fuzz.py",
        ),
        "Gradients equal finite differences, for every loss, activation, layer and penalty": (
            "gradients.py",
            "kernel_gradients.py",
            "diagnosis_gradients.py",
            "flow.py",
        ),
        "Losses, activations, layers and optimizers equal PyTorch's": (
            "torch",
            "updates.py",
            "minimize.py",
        ),
        "Exponentials, logarithms and the like are within units in the last place": (
            "elementary.py",
        ),
        "Random numbers, starting weights and masks have the distributions that they should": (
            "initializers.py",
            "dropout.py",
            "predict_mc.py",
        ),
        "scikit-learn's own tests of its MLP, and its checks of estimators, pass on ours": (
            "sklearn",
        ),
        "Sums over any number of rows are right to rounding": ("sums.py",),
        "Products of bfloat16 round as they say, with and without an instruction for them, and "
        "train as accurately": ("bfloat16.py",),
        "Exported models, in ONNX, C and NumPy, predict the same to rounding": ("export",),
        "Networks from PyTorch, Keras and ONNX predict the same and train on, or are refused": (
            "importing",
        ),
        "Preprocessing and metrics equal scikit-learn's": (
            "preprocessing.py",
            "prepared_network.py",
            "metrics.py",
        ),
    },
    "The same bits": {
        "Training gives the same bits on any number of threads": (
            "promises.py::test_the_same_bits",
            "edges.py::test_the_same_bits",
            "training.py::test_a_trial",
        ),
        "A fit in shards gives the same bits on any number of processes, and of threads in each": (
            "shards.py",
            "mpi.py",
        ),
        "Single updates and short fits, from kept programs, give the bits of all others": (
            "short_fits",
        ),
        "Evaluation, metrics and preprocessing give the same bits on any number of threads, from "
        "rows of any layout": ("same_bits.py", "preprocessing.py::test_the_layout"),
        "No change of fastnn moves a bit unless it says so": ("bits.py",),
        "Two fits are one longer fit": ("promises.py::test_two_fits",),
        "A network that was saved, loaded or copied goes on as if it had not been": (
            "promises.py::test_a_stored_run",
            "monitors.py",
        ),
        "A network that was reset, and an untrained copy, train as a new network does": (
            "restart.py",
        ),
        "A row's prediction does not depend on the rows beside it": ("prediction.py",),
        "The form of the data (type, layout, container) does not matter": ("inputs.py",),
        "Networks trained together are those trained alone": ("many.py",),
        "So are those trained by executors of others, even if workers die": (
            "executors",
            "sending.py",
        ),
        "Successive halving depends on its arguments alone, and its winner is a plain fit": (
            "halving.py",
        ),
        "A network in shards has the same bits for any number of processes and threads, and "
        "whichever rows each has": ("shards.py",),
        "Rows in files, from Parquet, streams, queries or batches, train to the bits of rows in "
        "memory, also with preprocessing": (
            "data.py::test_a_fit",
            "data.py::test_other_ways",
            "data.py::test_evaluation",
            "data.py::test_preprocessing",
            "data.py::test_streams",
        ),
        "Processes that would compute other bits say in what they differ": ("identity.py",),
    },
    "Nothing silent": {
        "Bad input is one error that names the argument, what came and what was wanted, and "
        "changes nothing": ("checks.py", "network_door.py", "preprocessing_errors.py"),
        "Every setting does something, is checked, compared, copied and stored": ("settings.py",),
        "What is set on a built network works or raises, and no pair of settings fails late": (
            "attributes",
            "pairs.py",
        ),
        "One thread at a time changes a network, and others read it between updates": (
            "access.py",
        ),
        "The rows to validate on are drawn from the seed, the same at each fit, and leave rows of "
        "each class to train on": ("fit.py::test_validation_split", "fit.py::test_each_class"),
        "Weights of rows and classes mean what they say, at any scale and batch size": (
            "weights.py",
            "reduction.py",
        ),
        "A fit that diverges says so and leaves the last good weights": (
            "recovery.py",
            "network_door.py::test_a_diverging",
            "network_door.py::test_the_error_names",
        ),
        "What is no rows to train on, or no files that go together, is refused by name": (
            "data_refusals.py",
        ),
        "Columns are what their names and types say": ("columns.py", "types.py", "encoders.py"),
        "Digits that a data type cannot hold are no signal, and are said": ("precision.py",),
        "The command line says what it cannot read and overwrites nothing unasked": (
            "cli",
            "tables.py",
        ),
    },
    "Nothing lost, nothing stuck": {
        "Files are whole or not there, and a damaged file is refused": ("storage.py", "atomic.py"),
        "What a file says is checked before it is used": ("forged.py", "tabular_files.py"),
        "Files of rows are never torn nor stale, and killed writers are continued bit for bit": (
            "data.py::test_a_second_call",
            "data.py::test_torn_files",
            "data.py::test_an_interrupted",
            "data.py::test_killed_writers",
        ),
        "Interrupted and killed runs go on with the same bits": (
            "kills.py",
            "processes.py::test_ctrl_c",
            "mpi.py::test_ctrl_c",
            "mpi.py::test_a_killed",
            "callbacks.py",
        ),
        "A damaged cache of compiled code is compiled anew, and one that others can write is not "
        "used": ("code_cache.py", "jit.py"),
        "Functions of users are pickled with networks, and equal ones compiled once": (
            "custom.py",
        ),
        "Threads, forks, pools and several processes on one cache work": ("processes.py",),
    },
    "Nothing outside": {
        "No kernel touches memory outside its arrays": ("guard_pages.py",),
        "Whatever a public kernel is given, it says what is wrong with it before it writes": (
            "doors.py",
            "contract.py",
        ),
        "The caller's error state, warnings, random numbers and threads are neither used nor "
        "changed": ("surroundings.py",),
        "What the caller passes in is not changed": (
            "inputs.py::test_what_is_given",
            "inputs.py::test_no_layer_writes",
        ),
        "Training writes into the network's own arrays only, and indexes with its own labels": (
            "ownership.py",
        ),
        "Training allocates nothing": ("memory.py",),
        "A second call compiles nothing, and loops are vectors": (
            "edges.py",
            "parity.py::test_float32",
        ),
    },
    "What is written is true": {
        "Examples in the documentation and on the site run, and print what it shows": (
            "readme.py",
            "examples.py",
            "pages.py",
            "course.py",
        ),
        "Each statement of the course has a test or a listing that shows it": ("statements.py",),
        "The catalogue, the measurements and this page are up to date": (
            "catalogue.py",
            "readme_numbers.py",
            "page_of_promises.py",
        ),
    },
}

INTRODUCTION = """\
# What we promise and how it is tested

`python -m tests.promises` writes this page: every number on it is counted, none typed. A test
fails if the page is out of date.

A test has to be able to fail. The comparisons are therefore tried on planted faults: a twin that is
off by a thousandth, a thread that computes other bits, a file that forgets a velocity, a read one
element outside an array. Each must be found, by the check that is for it.

`pytest` runs most tests, in less than five minutes on two cores; `pytest -m long` runs the others,
such as those of all networks in float64. Every change must pass both.
"""

FUZZ = """\
## Random cases

`tests/fuzz` draws networks, data and ways to fit them with [Hypothesis](https://hypothesis.works):
every layer, activation, loss, optimizer, penalty, constraint, schedule, clipping, preprocessing and
kind of weight, with inputs of every type, layout and container, constant, subnormal and huge ones,
at the ends of pages of memory that nobody may touch. Of each case it checks:

{properties}

A case that crashes or hangs is caught and minimized like one that fails, and printed as code to
paste. The suite looks for {seconds} seconds; by hand it is

```
python -m tests.fuzz --minutes 60 --seed 1 --jobs 2
```
"""

LONG = """\
## Long runs

What takes too long for the suite, and what it found last (`tests/data/long_runs.json`, which the
commands write when they pass):
"""


def collected() -> list[str]:
    """Return the names of all tests, as pytest finds them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", ""]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if "::" in line]


def count(nodes: Iterable[str], *beginnings: str) -> int:
    """Return how many tests have names that begin so."""
    wanted = tuple(f"tests/test_{beginning}" for beginning in beginnings)
    return sum(node.startswith(wanted) for node in nodes)


def _comparisons() -> int:
    return sum(len(base.shapes(case.dimensions)) for case in CASES) * len(DTYPES)


def _numbers(nodes: list[str]) -> dict[str, tuple[int, str]]:
    """Return what is counted: the number, and of what."""
    runs = json.loads(test_bits.RECORD.read_text())["runs"]
    sizes = sum(size for run in runs.values() for *_, size in run["sums"])
    settings = sum(len(defaults(kind)) for kind in KINDS)
    gradients = PROMISES["The numbers are right"][
        "Gradients equal finite differences, for every loss, activation, layer and penalty"
    ]
    return {
        "tests": (len(nodes), "as pytest collects them, examples in docstrings included"),
        "kernels": (len(CASES), "each compared with its twin, and run between guard pages"),
        "calls of kernels compared": (_comparisons(), "sizes and data types of those"),
        "networks": (len(NETWORKS), "that between them use all there is, each in two data types"),
        "numbers compared bit by bit": (2 * sizes, "with those recorded, on one thread and on two"),
        "gradient checks": (count(nodes, *gradients), "networks and kernels"),
        "settings": (settings, f"of {len(KINDS)} classes, each set, checked and stored"),
        "messages": (
            count(nodes, *PROMISES["Nothing silent"][next(iter(PROMISES["Nothing silent"]))]),
            "tests of what is said about bad input at the door",
        ),
        "forms of data": (len(forms.LAYOUTS) * len(forms.TYPES), "that random cases come in"),
        "planted faults": (len(test_fuzz.FAULTS), "that the checks of random cases must find"),
        "random cases": (_long("fuzz", "cases"), "in the last long run (below)"),
        "faults injected": (
            _long("fuzz", "faults injected"),
            "in that run: bad input that must be one error and change nothing",
        ),
        "kills and interrupts": (
            _long("kills") + _long("kills of ranks"),
            "at random moments of fits and saves, in the last long runs",
        ),
    }


def _long(run: str, *names: str) -> int:
    """Return what a long run counted under these names, or in all."""
    counts = long_runs.read().get(run, {}).get("counts", {})
    return sum(number for name, number in counts.items() if not names or name in names)


def _long_runs() -> list[str]:
    lines = []
    for result in long_runs.read().values():
        told = ", ".join(f"{number:,} {what}" for what, number in result["counts"].items())
        lines.append(f"- `{result['command']}`, {result['date']}: {told}.")
    return lines


def page(nodes: list[str]) -> str:
    """Return the page for these tests."""
    lines = [INTRODUCTION, "## In numbers", "", "| how many | of what | |", "|---:|---|---|"]
    lines += [f"| {n:,} | {what} | {how} |" for what, (n, how) in _numbers(nodes).items()]
    lines += ["", "## Promise by promise", ""]
    for section, promises in PROMISES.items():
        lines += [f"### {section}", "", "| promise | tests | in |", "|---|---:|---|"]
        for promise, beginnings in promises.items():
            files = dict.fromkeys(each.split("::")[0] for each in beginnings)
            where = ", ".join(
                f"`test_{name}`" if name.endswith(".py") else f"`test_{name}*.py`" for name in files
            )
            lines.append(f"| {promise} | {count(nodes, *beginnings):,} | {where} |")
        lines.append("")
    checks = "\n".join(
        f"- *{name}*: {(method.__doc__ or '').strip().splitlines()[0]}"
        for name, method in properties().items()
    )
    lines.append(FUZZ.format(properties=checks, seconds=test_fuzz.SECONDS))
    lines += [LONG, *_long_runs(), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(collected()), encoding="utf-8")
