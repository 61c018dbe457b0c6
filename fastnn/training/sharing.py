"""Fits in shards: what processes agree on, and which rows each of them has."""

import hashlib
import os
import pickle
import platform
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine import cores, identity
from fastnn.engine.clock import share
from fastnn.engine.exchange import RankError, Ranks, timeout
from fastnn.engine.shards import Shards, own_shards
from fastnn.inputs import checks
from fastnn.inputs.settings import Configured
from fastnn.layers import Embedding
from fastnn.preprocessing import slices
from fastnn.preprocessing.chain import Chain
from fastnn.training import planning
from fastnn.training.data import Data, Together
from fastnn.training.model import Model
from fastnn.training.planning import Plan

SHARDS = 16
"""Shards of a batch where only a communicator is given."""
_METHODS = "Get_rank", "Get_size", "Idup"


class Sharing:
    """What a fit in shards knows of its processes.

    Parameters
    ----------
    shards : int or None
        Into how many slices to cut each batch.
    communicator : mpi4py.MPI.Comm or None
        The processes.
    """

    def __init__(self, shards: Any, communicator: Any):
        self.ranks: Ranks | None = None
        size = 1
        if communicator is not None:
            if not all(hasattr(communicator, method) for method in _METHODS):
                raise TypeError(
                    f"communicator is {communicator!r}, wanted one of mpi4py, such as "
                    "MPI.COMM_WORLD"
                )
            size = communicator.Get_size()
            if size > 1:
                self.ranks = Ranks(communicator, timeout())
        with self.leaving():
            self.count = SHARDS if shards is None else checks.positive_int(shards, "shards")
            if size & (size - 1) or size > self.count:
                raise ValueError(
                    f"there are {size} ranks, wanted 1, 2, 4 or another power of two, "
                    f"up to shards, {self.count}"
                )
        self.rank, self.size = (self.ranks.rank if self.ranks else 0), size

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Tell the other ranks if this one raises."""
        try:
            yield
        except BaseException as error:
            if self.ranks is not None and not isinstance(error, RankError):
                self.ranks.leave(f"{type(error).__name__}: {error}")
            raise

    def end(self) -> None:
        """Let the ranks go."""
        if self.ranks is not None:
            self.ranks.end()

    def agree(self, own: Any) -> list[Any]:
        """Return what each rank gives here."""
        return [own] if self.ranks is None else self.ranks.agree(own)

    @contextmanager
    def threads(self, model: Model) -> Iterator[None]:
        """Use this rank's part of the cores that ranks here share, unless `n_threads` is given."""
        anywhere = hasattr(os, "sched_getaffinity")
        allowed = {*os.sched_getaffinity(0)} if anywhere else {*range(os.cpu_count() or 1)}
        found = self.agree((platform.node(), allowed))
        here = sum(node == platform.node() and bool(allowed & own) for node, own in found)
        limits = self.ranks is not None and model.n_threads is None
        with cores.at_most(max(1, len(allowed) // here)) if limits else nullcontext():
            yield

    def check(self, model: Model, plan: Plan, options: Mapping[str, Any]) -> None:
        """Raise if the ranks are not about to do the same."""
        if self.ranks is None:
            return
        own = {
            **_described(model),
            **{name: _text(value) for name, value in options.items()},
            "dtype of X": _dtype(plan.data.x),
            "dtype of y": _dtype(plan.data.y),
            "columns of X": f"{plan.data.x.shape[1]} {plan.data.names.x or ''}".strip(),
            "sample_weight": "none" if plan.data.weight is None else "given",
            "validation_data": "none" if plan.validation is None else "given",
            "shards": str(self.count),
        }
        found = self.agree((dict(identity.identity()), own))
        for rank, (other, _) in enumerate(found):
            if differences := identity.differences(other, f"rank {rank}"):
                raise ValueError(f"rank {rank} would compute other bits: {differences}")
        check_same(own, [each for _, each in found], self.rank)

    def planned(self, model: Model, plan: Plan) -> Plan:
        """Return the plan of this rank's shards, with prepared rows; build the model."""
        _check_possible(model)
        rows, given = self._spread(plan.data), None
        if plan.validation is not None:
            given = self._spread(plan.validation)
        plan = replace(plan, data=rows.all, validation=None if given is None else given.all)
        plan = planning.in_batches(model, planning.divided(model, plan))
        data, n = plan.data, len(plan.data)
        if n < self.count:
            raise ValueError(
                f"there are {n} rows to train on, wanted at least one for each of "
                f"{self.count} shards"
            )
        if plan.validation is not None:
            plan = replace(plan, validation=self._own_part(given or rows, plan.validation))
        places = [own_shards(self.count, rank, self.size) for rank in range(self.size)]
        shards = [Shards(self.count, n, *place, self.ranks) for place in places]
        mine = shards[self.rank]
        how = slices.Slices(Shards(self.count, n, 0, self.count))
        if rows.counts is not None:
            _check_sums(model.preprocessing)
            wanted = [data.inputs()[each.rows, 0] for each in shards]
            own = replace(_some(data, mine.rows), x=self._dealt(rows, wanted), rows=None)
            plan = replace(plan, data=own)
            how = slices.Slices(mine, self.agree)
        with slices.sliced(how):
            plan = planning.begin(model, plan)
        own = plan.data if rows.counts is not None else _some(plan.data, mine.rows)
        if self.ranks is not None:
            own = replace(own, together=Together(self.ranks, data.y, data.weight))
        return replace(plan, data=own, shards=mine)

    def _spread(self, data: Data) -> "_Spread":
        """Find out whether all ranks have the same rows, or each some of them."""
        found = self.agree((_digest(data), len(data)))
        if len({digest for digest, _ in found}) == 1:
            return _Spread(data, data)
        if not isinstance(data.x, np.ndarray):
            raise ValueError(
                "X has columns for preprocessing to encode, and the ranks have other rows each: "
                "wanted all rows on every rank"
            )
        counts = [n for _, n in found]
        weight = data.weight
        if weight is not None:
            weight = np.concatenate(self.agree(weight))
        numbers = np.arange(sum(counts))[:, None]
        everything = replace(data, x=numbers, y=np.concatenate(self.agree(data.y)), weight=weight)
        return _Spread(data, everything, counts)

    def _own_part(self, rows: "_Spread", held: Data) -> Data:
        """Return the part of the rows to validate on that this rank evaluates."""
        if self.ranks is None:
            return held
        if rows.counts is None:
            own = _some(held, slice(*share(len(held), self.rank, self.size)))
        else:
            numbers = held.inputs()[:, 0]
            begin, end = rows.bounds(self.rank)
            here = (begin <= numbers) & (numbers < end)
            own = replace(_some(held, here), x=rows.own.x, rows=numbers[here] - begin)
        return replace(own, together=Together(self.ranks, held.y, held.weight))

    def _dealt(self, rows: "_Spread", wanted: list[np.ndarray]) -> np.ndarray:
        """Return the rows that this rank wants, given the numbers of those that each wants."""
        assert self.ranks is not None
        begin, end = rows.bounds(self.rank)
        if all(
            np.array_equal(each, np.arange(*rows.bounds(rank))) for rank, each in enumerate(wanted)
        ):
            return rows.own.x
        given = [rows.own.x[each[(begin <= each) & (each < end)] - begin] for each in wanted]
        return np.concatenate(self.ranks.deal(given))


@dataclass(frozen=True)
class _Spread:
    """Rows that a rank was given, and those of all ranks.

    If each has other ones, `counts` says how many, and `x` of all has their numbers.
    """

    own: Data
    all: Data
    counts: list[int] | None = None

    def bounds(self, rank: int) -> tuple[int, int]:
        """Return the number of a rank's first row, and the end."""
        assert self.counts is not None
        return sum(self.counts[:rank]), sum(self.counts[: rank + 1])


def state(model: Model) -> dict[str, str]:
    """Return what must be the same on all ranks from epoch to epoch."""
    crc = 0
    for parameter in model.all_parameters():
        for array in (parameter.value, *parameter.state.values()):
            crc = zlib.crc32(array.data, crc)
    return {**_described(model), "weights": f"{crc:08x}"}


def check_same(own: dict[str, str], others: Sequence[dict[str, str]], rank: int) -> None:
    """Raise ValueError if ranks differ in something."""
    for number, other in enumerate(others):
        for name in own | other:
            here, there = own.get(name, "none"), other.get(name, "none")
            if here != there:
                raise ValueError(
                    f"{name} is {there} in rank {number}, but {here} in rank {rank}: "
                    "all ranks must train the same network in the same way"
                )


def _some(data: Data, rows: Any) -> Data:
    """Return some of the rows."""
    if data.rows is None and isinstance(rows, slice):
        return data.part(rows)
    weight = None if data.weight is None else data.weight[rows]
    which = np.flatnonzero(rows) if data.rows is None else data.rows[rows]
    return replace(data, y=data.y[rows], weight=weight, rows=which)


def _check_possible(model: Model) -> None:
    if model.optimizer.searches:
        raise ValueError(
            f"optimizer is {model.optimizer!r}, which searches along lines and cannot be used "
            "with shards"
        )
    for number, layer in enumerate(model.layers):
        if isinstance(layer, Embedding):
            raise ValueError(
                f"layers[{number}] is {layer!r}, whose rows cannot be summed in shards: encode "
                "its column by preprocessing instead, or leave out shards"
            )


def _check_sums(chain: Chain | None) -> None:
    """Raise if preprocessing learns more than sums, which takes all rows."""
    for step in [] if chain is None or chain.fitted else chain.steps:
        if not getattr(step, "sums", False):
            raise ValueError(
                f"preprocessing has {step!r}, which learns from all rows at once, and the ranks "
                "have other rows each: wanted all rows on every rank"
            )


def _described(model: Model) -> dict[str, str]:
    """Return a model's settings as text, by name."""
    found = {f"layers[{number}]": _text(layer) for number, layer in enumerate(model.layers)}
    for name in ("loss", "optimizer", "kernel_regularizer", "bias_regularizer", "seed", "backend"):
        found[name] = _text(getattr(model, name))
    chain = model.preprocessing
    if chain is not None:
        found["preprocessing"] = _text(chain)
        arrays = chain.state().items()
        found["what preprocessing has learned"] = _text([(n, a.tobytes()) for n, a in arrays])
    found["metrics"] = ", ".join(metric.name for metric in model.metrics) or "none"
    counters = {"dtype": model.policy, "epochs_done": model.epochs, "updates_done": model.updates}
    return found | {name: str(value) for name, value in counters.items()}


def _text(value: Any) -> str:
    """Return what a setting is, without the addresses of objects."""
    if isinstance(value, Configured):
        settings = (f"{name}={_text(each)}" for name, each in value.settings().items())
        return f"{type(value).__name__}({', '.join(settings)})"
    if isinstance(value, Mapping):
        return _text([*value.items()])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    if isinstance(value, bytes):
        return hashlib.blake2b(value, digest_size=8).hexdigest()
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    return repr(value)


def _dtype(array: Any) -> str:
    return str(getattr(array, "dtype", type(array).__name__))


def _digest(data: Data) -> str:
    """Return a digest of rows."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (data.x, data.y, data.weight):
        if isinstance(array, np.ndarray) and array.dtype != object:
            digest.update(f"{array.shape} {array.dtype}".encode())
            for _, block in checks.blocks(array):
                digest.update(np.ascontiguousarray(block).data)
        else:
            digest.update(pickle.dumps(array))
    return digest.hexdigest()
