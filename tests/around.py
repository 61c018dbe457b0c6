"""What a process has only one of, and a library must leave as it is."""

import decimal
import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np

TINY = 1e-300


def around():
    """Return what a process has only one of."""
    found = {
        "NumPy's errors": (np.geterr(), np.geterrcall()),
        "NumPy's printing": np.get_printoptions(),
        "NumPy's random state": repr(np.random.get_state()),
        "random state": random.getstate(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "threads": threading.enumerate(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "switching": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout, sys.stderr),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext()),
        "logging": (logging.root.level, list(logging.root.handlers)),
        "subnormals": (TINY * 1e-20, np.float32(1e-40) * np.float32(0.5)),
        "rounding": (1 + 2.0**-53, 1 + 3 * 2.0**-54),
    }
    if hasattr(os, "sched_getaffinity"):
        found["cores"] = os.sched_getaffinity(0)
    return found
