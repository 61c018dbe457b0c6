"""Fits over processes that mpiexec starts."""

import pickle

import pytest

from tests import mpi

pytest.importorskip("mpi4py")
pytestmark = pytest.mark.skipif(mpi.MPIEXEC is None, reason="there is no mpiexec")


def check_fits(folder, size, n_threads):
    command = mpi.job("fits", folder, {"n_threads": n_threads})
    status, text = mpi.finish(mpi.start([command] * size), 300)
    assert status == 0, text
    alone = {name: mpi.fit(name) for name in mpi.NAMES}
    for rank in range(size):
        assert pickle.loads((folder / f"{rank} of {size}").read_bytes()) == alone


def test_two_processes_make_the_bits_of_one(tmp_path):
    check_fits(tmp_path, 2, 1)


@pytest.mark.long
@pytest.mark.parametrize("size, n_threads", [(1, 1), (1, 2), (2, 2), (4, 1), (4, 2)])
def test_processes_and_threads_make_the_same_bits(tmp_path, size, n_threads):
    check_fits(tmp_path, size, n_threads)
