"""Threads that help a call from Python with its work, and wait in between.

A call hands out its parts: every thread takes those of its own share, one after the other, and then
what is left of the others' shares.  So does the caller.  It waits for parts that helpers have
begun, but never for a helper that has not come: the system may have given its core to another
process, and gives it back only after milliseconds.

Helpers are threads of the system, of which Python knows nothing.  They never hold its lock, for
which the caller would wait.  After some microseconds without work they sleep.
"""

import contextlib
import ctypes
import os

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from fastnn.kernels.atomics import (
    atomic_add,
    atomic_load,
    atomic_replace,
    atomic_swap,
    give_way,
    pause,
    ticks,
)
from fastnn.kernels.jit import cfunc, njit
from fastnn.kernels.memory import BYTES, INT64
from fastnn.kernels.numba_internals import c_function, cgutils, ir, llvm

_LINE = 16
"""Numbers between those that different threads write: two cache lines, as processors fetch two."""
_GATE = 0
"""Where the present call is: its number, how many threads it wants, whether it is open to helpers,
and how many are in."""
_CALL, _THREADS, _OPEN = 1 << 32, 1 << 17, 1 << 16
_FUNCTION, _DATA, _PARTS, _STARTED = range(_LINE, _LINE + 4)

_TURNS = 1000
"""Turns of the loop in which a helper waits before it sleeps."""
_SPINS = 500
"""Turns of the loop in which a caller waits before it yields its core."""


def place(thread):
    """Return where the numbers of one thread begin: NEXT ... NAME."""
    return (2 * thread + 2) * _LINE


_NEXT, _ASLEEP, _LOCK, _NAME = 0, _LINE, _LINE + 1, _LINE + 2
"""The next part of its share, and of a helper, whether it is asleep, its lock and its name."""

_place = njit(place)

_LINUX = hasattr(os, "sched_setaffinity")
core_here = getattr(ctypes.CDLL(None), "sched_getcpu", None) if _LINUX else None
"""Returns the core that the calling thread runs on, where threads can be moved."""

for _name in ("acquire_lock", "release_lock", "get_thread_native_id"):
    _function = getattr(ctypes.pythonapi, f"PyThread_{_name}")
    llvm.add_symbol(f"fastnn_{_name}", ctypes.cast(_function, ctypes.c_void_p).value)


@intrinsic
def _acquire(_, lock):
    """Wait for a lock of Python's C interface, which is an address."""

    def codegen(context, builder, signature, args):
        number = ir.IntType(32)
        kind = ir.FunctionType(number, [BYTES, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "fastnn_acquire_lock")
        builder.call(function, [builder.inttoptr(args[0], BYTES), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def _release(_, lock):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [BYTES])
        function = cgutils.get_or_insert_function(builder.module, kind, "fastnn_release_lock")
        builder.call(function, [builder.inttoptr(args[0], BYTES)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def _own_name(_):
    """Return the number by which the system knows this thread."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(INT64, [])
        name = "fastnn_get_thread_native_id"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])

    return types.int64(), codegen


@intrinsic
def task(_, function, arguments):
    """Return the addresses of code that calls ``function(part, parts, *arguments)``, and of a copy
    of the arguments, on the stack.
    """

    def codegen(context, builder, signature, args):
        kinds = types.int64, types.int64, *arguments.types
        code = c_function(context, builder.module, function.dispatcher, kinds, args[1].type)
        data = cgutils.alloca_once_value(builder, args[1])
        addresses = [builder.ptrtoint(each, INT64) for each in (code, data)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(function, arguments), codegen


@intrinsic
def _call(_, code, part, parts, data):
    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [INT64, INT64, BYTES])
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [args[1], args[2], builder.inttoptr(args[3], BYTES)])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@njit
def _take_parts(pool, thread, n_threads):
    """Do what nobody else has begun, the thread's own share first."""
    code, data, parts = pool[_FUNCTION], pool[_DATA], pool[_PARTS]
    for turn in range(n_threads):
        share = (thread + turn) % n_threads
        end = parts * (share + 1) // n_threads
        part = atomic_add(pool, _place(share) + _NEXT, 1)
        while part < end:
            _call(code, part, parts, data)
            part = atomic_add(pool, _place(share) + _NEXT, 1)


@njit
def hand_out(pool, n_threads, parts, code, data):
    """Do all parts of a :func:`task`, on this thread and on helpers.

    Return whether this thread waited for helpers for longer than it worked.
    """
    begun = ticks()
    pool[_FUNCTION], pool[_DATA], pool[_PARTS] = code, data, parts
    for thread in range(n_threads):
        pool[_place(thread) + _NEXT] = parts * thread // n_threads
    call = atomic_load(pool, _GATE) // _CALL + 1
    atomic_swap(pool, _GATE, call * _CALL + n_threads * _THREADS + _OPEN)
    for thread in range(1, n_threads):
        if atomic_swap(pool, _place(thread) + _ASLEEP, 0) == 1:
            _release(pool[_place(thread) + _LOCK])
    _take_parts(pool, 0, n_threads)
    inside = atomic_add(pool, _GATE, -_OPEN) % _OPEN
    done, spins = ticks(), 0
    while inside != 0:
        spins += 1
        if spins > _SPINS:
            give_way()
        else:
            pause()
        inside = atomic_load(pool, _GATE) % _OPEN
    return ticks() - done > done - begun


def _help(start):
    """Help with one call after the other, for as long as the process lives."""
    pool = carray(start, 1)
    thread = atomic_add(pool, _STARTED, 1) + 1
    pool[_place(thread) + _NAME] = _own_name()
    done = np.int64(0)
    while True:
        turns = 0
        while True:
            gate = atomic_load(pool, _GATE)
            n_threads = gate % _CALL // _THREADS
            if gate & _OPEN and gate // _CALL != done and thread < n_threads:
                if atomic_replace(pool, _GATE, gate, gate + 1):
                    break
                continue
            turns += 1
            if turns < _TURNS:
                pause()
            elif turns == _TURNS:  # and look once more before sleeping
                atomic_swap(pool, _place(thread) + _ASLEEP, 1)
            else:
                _acquire(pool[_place(thread) + _LOCK])
                turns = 0
        if turns >= _TURNS and atomic_swap(pool, _place(thread) + _ASLEEP, 0) == 0:
            _acquire(pool[_place(thread) + _LOCK])  # somebody is waking us
        done = gate // _CALL
        _take_parts(pool, thread, n_threads)
        atomic_add(pool, _GATE, -1)


class Helpers:
    """Helpers for calls on so many threads, the caller's among them.

    Attributes
    ----------
    pool : int64 array
        What they share with the caller.
    """

    def __init__(self, n_threads: int):
        python = ctypes.pythonapi
        python.PyThread_allocate_lock.restype = ctypes.c_void_p
        python.PyThread_acquire_lock.argtypes = ctypes.c_void_p, ctypes.c_int
        python.PyThread_start_new_thread.argtypes = ctypes.c_void_p, ctypes.c_void_p
        code = cfunc(types.void(types.CPointer(types.int64)), _help).address
        self.pool = np.zeros(place(n_threads), np.int64)
        self._threads = range(1, n_threads)
        self._core = -1
        for thread in self._threads:
            lock = python.PyThread_allocate_lock()
            python.PyThread_acquire_lock(lock, 1)
            self.pool[place(thread) + _LOCK] = lock
            python.PyThread_start_new_thread(code, self.pool.ctypes.data)

    def keep_off(self) -> None:
        """Keep the helpers off the caller's core, where Linux wakes them if all are busy."""
        core = core_here() if core_here else -1
        if core == self._core:
            return
        names = [int(self.pool[place(thread) + _NAME]) for thread in self._threads]
        if all(names):
            self._core = core
            others = os.sched_getaffinity(0) - {core}
            for name in names:
                with contextlib.suppress(OSError):  # if that is forbidden, they run anywhere
                    os.sched_setaffinity(name, others)
