"""Shards of a batch, in NumPy: see :mod:`fastnn.kernels.shards`."""

import numpy as np

from fastnn.reference.rows import batch_rows


def shard_rows(seed, epoch, n, shuffle, shards, shard, first, bounds, index):
    start = 0
    for each in range(len(bounds) - 1):
        number = int(shard) + each
        length = n // shards + (number < n % shards)
        part = index[bounds[each] : bounds[each + 1]]
        if len(part):
            before = -((number - int(first)) // shards)
            own = (int(seed) + (number << 40)) % 2**64
            batch_rows(own, epoch, max(length, 1), shuffle, before, part)
            part += start
        start += length


def shard_bounds(shards, shard, first, rows, own, bounds):
    places = np.arange(int(first), int(first) + int(rows)) % shards
    last = int(shard) + max(0, len(bounds) - 1)
    bounds[...] = [np.sum((shard <= places) & (places < shard + k)) for k in range(len(bounds))]
    own[...] = np.sum((shard <= places) & (places < last)), np.sum(places < shard)


def add_to(a, total):
    total += a
