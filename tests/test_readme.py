"""The README's code runs, and the commands it shows exist."""

import re
import shlex
from pathlib import Path

import pytest

from bench import report
from fastnn.cli.parser import parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```\n(fastnn .*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^(?:python -m )?fastnn (.*)$", BLOCK, re.MULTILINE)


def subcommands():
    """Return the names of the parser's commands."""
    (choices,) = (action.choices for action in parser()._actions if action.dest == "command")
    return set(choices)


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(block, names)
    error = abs(names["predicted"] - names["y_test"]).mean()
    assert error < 0.8 * abs(names["np"].median(names["y_train"]) - names["y_test"]).mean()


def test_every_command_is_shown():
    assert {line.split()[0] for line in COMMANDS} == subcommands()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_understood(line):
    command, *arguments = shlex.split(line)
    if command == "bench":
        report.parse(arguments)  # it has its own parser
    else:
        parser().parse_args([command, *arguments])


def test_commands_in_the_text_exist():
    named = set(re.findall(r"`(?:python -m )?fastnn (\w+)", README))
    named |= set(re.findall(r"^- `(\w+)` \w", README, re.MULTILINE))
    assert named and named <= subcommands()


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert all((ROOT / link).is_file() for link in links)
