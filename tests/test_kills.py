"""A sample of what ``python -m tests.kills`` does for as long as one likes."""

import os

import numpy as np
import pytest

from tests import kills

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
BUT_LBFGS = [job for job in kills.JOBS if job is not kills.lbfgs]
"""Which compiles for a while, and needs SciPy."""


@pytest.mark.parametrize("job", BUT_LBFGS, ids=lambda job: job.__name__)
def test_interrupted(job, tmp_path):
    assert kills.interrupt(np.random.default_rng(0), [job], 6, tmp_path)


def test_a_killed_fit_goes_on_from_its_checkpoint(tmp_path):
    assert kills.kill_fits(np.random.default_rng(0), 6, tmp_path)


def test_a_killed_save_leaves_the_old_file_or_the_new_one(tmp_path):
    assert kills.kill_saves(np.random.default_rng(0), 6, tmp_path) == 6
