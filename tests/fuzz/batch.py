"""One process's share of a run: ``python -m tests.fuzz.batch SEED CASES SECONDS FOLDER [--apart]``.

It writes the case to ``case.txt`` before it checks it, so that a process that dies or hangs has
said where, and at its end ``report.json``.  With ``--apart`` each case has a child process of its
own: slow, but a crash is then one failure among others, and is minimized like them.
"""

import dataclasses
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import Phase as Phases

from tests.fuzz.cases import Case, cases
from tests.fuzz.properties import check


def apart(case: Case, counts: Counter) -> None:
    """Check a case in a child process; raise what it says, or how it died."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        said = ""
        try:
            check(case, counts)
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode()[-60000:])
        os._exit(0)
    os.close(write)
    with open(read) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        said = f"the process died of {signal.Signals(-status).name}"
    assert not said, said


@dataclasses.dataclass
class Report:
    """What a batch, or a whole run, has checked and found."""

    counts: Counter = dataclasses.field(default_factory=Counter)
    failure: str = ""
    """What went wrong, and the case as code; empty if nothing did."""


def failed(case: str, said: str) -> str:
    """Return the text of a failure: what was said, and code that repeats it."""
    lines = "from tests.fuzz.cases import Case", "from tests.fuzz.properties import check"
    code = "\n".join(f"    {line}" for line in (*lines, "", f"check({case})"))
    return f"{said.strip()}\n\nThe case, as code:\n\n{code}\n"


def run(number: int, most: int, seconds: float, folder: Path, each: Any) -> Report:
    """Check up to `most` cases drawn from the seed `number`; `each` checks one."""
    report, end, latest = Report(), time.monotonic() + seconds, [""]

    @seed(number)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phases.generate, Phases.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(cases())
    def look(case: Case) -> None:
        if time.monotonic() > end and not latest[0]:
            return
        (folder / "case.txt").write_text(repr(case))
        try:
            each(case, report.counts)
        except Exception:
            latest[0] = failed(repr(case), traceback.format_exc(limit=-4))
            raise

    try:
        look()
    except Exception as error:
        report.failure = latest[0] or failed("...", repr(error))
    return report


if __name__ == "__main__":
    number, most, seconds, folder, *how = sys.argv[1:]
    found = run(
        int(number), int(most), float(seconds), Path(folder), apart if how == ["--apart"] else check
    )
    (Path(folder) / "report.json").write_text(json.dumps(vars(found)))
