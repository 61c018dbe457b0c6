"""``pytest bench`` as people type it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench import tabular
from bench.peers import PEERS
from bench.workloads import WORKS

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments, status=0, program=("-m", "pytest", "-p", "no:cacheprovider")):
    """Run pytest in a process of its own, and return what it prints."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, *program, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_a_kernel_is_timed_beside_its_twin_and_compared_with_an_earlier_run(tmp_path):
    chosen = ("bench", "-k", "identity_forward", f"--benchmark-storage={tmp_path}")
    saved = run(*chosen, "--benchmark-save=before", "-n", "2")
    assert "benchmark 'identity_forward 256x128 float32': 2 tests" in saved
    assert re.findall(r"^(\w+) +[\d.]+ \([\d.]+\)", saved, re.M) == ["compiled", "NumPy"]
    compared = run(*chosen, "--benchmark-compare")
    assert re.findall(r"^(\w+) \((\w+)\)", compared, re.M) == [
        ("compiled", "0001_before"), ("compiled", "NOW"),
        ("NumPy", "0001_before"), ("NumPy", "NOW"),
    ]  # fmt: skip


@pytest.mark.long
def test_a_selection_is_run_unless_all_are_asked_for():
    chosen = ("bench/test_training.py", "--collect-only", "-q")
    every = len(WORKS) * len(PEERS)
    assert f"{2 * len(PEERS)}/{every} tests collected" in run(*chosen)
    assert f"\n{every} tests collected" in run(*chosen, "--all")


@pytest.mark.long
def test_a_benchmark_that_is_named_runs():
    name = "bench/test_kernels.py::test_kernel[identity_forward-L1-float32-compiled]"
    assert "1 passed" in run(name)


def test_files_that_are_no_benchmarks_are_not_imported():
    assert "no tests ran" in run("bench/peers", status=pytest.ExitCode.NO_TESTS_COLLECTED)


def test_a_library_that_is_not_installed_is_a_reason_to_skip():
    absent = "import sys, pytest; from bench import peers; peers.Peer.installed = False; "
    chosen = "['bench/test_training.py', '-k', '200-64-1-sklearn']"
    printed = run(program=("-c", f"{absent}sys.exit(pytest.main({chosen}))"))
    assert "SKIPPED [1]" in printed
    assert "scikit-learn is not installed: pip install -e '.[bench]'" in printed


@pytest.mark.long
def test_a_learner_of_tables_that_dies_costs_one_fit():
    pytest.importorskip("pandas")
    worker = tabular.Worker("hist", 1)
    try:
        assert worker.fit("breast_cancer", 0)["error"] < 0.1
        worker.process.kill()
        worker.process.wait()
        assert worker.fit("breast_cancer", 0) == {"failed": "ended with status -9"}
        assert "failed" in worker.fit("no such set", 0)
        assert worker.fit("breast_cancer", 0)["error"] < 0.1
    finally:
        worker.stop()
