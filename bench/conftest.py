"""``pytest bench``: in one process, timed, and a selection of the benchmarks unless ``--all``."""

import pytest

from bench.peers import PEERS

INSTALL = "pip install -e '.[bench]'"


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run every benchmark, not a selection")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    config.option.numprocesses = 0  # workers would share the cores, so nothing would be timed
    config.option.reportchars += "s"


def pytest_configure(config):
    config.addinivalue_line("markers", "all: a benchmark that only --all runs")


def pytest_report_header(config):
    chosen = "all benchmarks" if config.option.all else "a selection (--all: all)"
    lines = [f"bench: {chosen}, in one process"]
    absent = [peer.name for peer in PEERS.values() if not peer.installed]
    if absent:
        lines.append(f"bench: not installed: {', '.join(absent)} ({INSTALL})")
    return lines


def pytest_ignore_collect(collection_path):
    # For doctests pytest would import every file, those that need other libraries too.
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


def pytest_collection_modifyitems(config, items):
    if config.option.all or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("all")]
    items[:] = [item for item in items if not item.get_closest_marker("all")]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def peer(request):
    """The contender of this name; the benchmark is skipped where its library is not installed."""
    found = PEERS[request.param]
    if not found.installed:
        pytest.skip(f"{found.name} is not installed: {INSTALL}")
    return found
