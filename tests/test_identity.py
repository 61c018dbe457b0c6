"""What decides the bits: processes that differ in it say in what."""

import os
import subprocess
import sys

from fastnn.engine.identity import differences, identity


def test_a_process_agrees_with_itself_and_names_what_differs():
    mine = dict(identity())
    assert differences(mine, "rank 1") == ""
    told = differences(mine | {"fastnn": "0.0.1", "instructions": "sse2"}, "rank 1")
    assert told.startswith(f"fastnn is 0.0.1 in rank 1, {mine['fastnn']} here; instructions is ")
    assert "sse2 here" not in told and "OPT" not in told
    assert differences(mine | {"network": "a"}, "rank 1") == "network is a in rank 1, none here"


def test_another_instruction_set_and_other_settings_of_numba_are_noticed():
    program = "from fastnn.engine.identity import identity; print(dict(identity()))"
    variables = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+sse2", "NUMBA_OPT": "2"}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | variables, text=True, capture_output=True
    )
    theirs = eval(printed.stdout)
    told = differences(theirs, "rank 1")
    for name in ("settings of Numba is OPT=", "processor is generic", "instructions is "):
        assert name in told
    assert "NumPy" not in told and "fastnn" not in told
