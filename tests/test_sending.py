"""Memory maps travel as paths, and are refused where the path shows something else."""

import os
import pickle

import numpy as np
import pytest

from fastnn import fit_many
from fastnn.many import sending
from tests import elsewhere
from tests.elsewhere import Elsewhere, state


@pytest.fixture
def memory_map(tmp_path):
    path = tmp_path / "x"
    data = np.memmap(path, np.float32, "w+", 400, (3000, 6))
    data[...] = np.random.default_rng(1).standard_normal(data.shape)
    return data


def test_a_memory_map_is_sent_as_its_path(memory_map):
    y = np.array(memory_map[:, :1])
    here, there = elsewhere.networks()[:5], elsewhere.networks()[:5]
    fit_many(here, memory_map[500:], y[500:])
    executor = Elsewhere()
    fit_many(there, memory_map[500:], y[500:], executor=executor)
    assert list(map(state, there)) == list(map(state, here))
    parcel = sending.Parcel(memory_map[500:])
    assert not parcel.buffers and len(parcel.head) < 500 < memory_map.nbytes


@pytest.mark.parametrize(
    "view",
    [np.s_[:], np.s_[7:90], np.s_[::3, 1:4], np.s_[::-1, ::-2], np.s_[5:5]],
    ids=str,
)
def test_views_of_a_memory_map_are_found_in_its_file(memory_map, view):
    array = np.asarray(memory_map)[view]
    place = sending.mapped(array)
    if array.size:
        found = pickle.loads(pickle.dumps(place)).open()
        assert found.strides == array.strides and not found.flags.writeable
        np.testing.assert_array_equal(found, array)
        np.testing.assert_array_equal(sending.Parcel([array]).open()[0], array)
    else:
        assert place is None


def test_a_memory_map_that_its_file_does_not_show_is_sent_as_numbers(memory_map, tmp_path):
    own = np.memmap(memory_map.filename, np.float32, "c", 400, memory_map.shape)
    own[0] = 7  # reaches no file
    assert sending.mapped(own) is None
    np.testing.assert_array_equal(sending.Parcel(own).open(), own)
    place = sending.mapped(memory_map)
    np.full(30_000, 3, np.uint8).tofile(tmp_path / "other")
    os.replace(tmp_path / "other", tmp_path / "x")
    with pytest.raises(sending.OtherFileError, match="x, which is shorter"):
        place.open()
    other = np.memmap(tmp_path / "other", np.float32, "w+", 400, memory_map.shape)
    other[...] = 1
    os.replace(tmp_path / "other", tmp_path / "x")
    assert sending.mapped(np.asarray(memory_map)) is None
    with pytest.raises(sending.OtherFileError, match="x, which holds something else"):
        place.open()


def test_a_worker_that_sees_another_file_is_refused(memory_map, monkeypatch):
    find = sending.mapped
    place = find(memory_map)
    wrong = {**vars(place), "checksum": 1}
    monkeypatch.setattr(
        sending,
        "mapped",
        lambda array: sending.Mapped(**wrong) if array.shape == memory_map.shape else None,
    )
    networks = elsewhere.networks()[:3]
    with pytest.raises(ValueError, match=r"memory map, but the worker .* finds .*x, which holds"):
        fit_many(networks, memory_map, np.array(memory_map[:, :1]), executor=Elsewhere())
    assert not any(each.built for each in networks)
