"""Model how an epoch's time falls with more threads, from measurements on two cores.

T(n) = whole + shares + barriers + between cores + memory; see :func:`terms`.  The steps are timed
on one core that plays each of the n threads in turn, for one batch each.  Small shares therefore
cost what they really cost, and the caches see the data of all threads.  Costs between cores are
timed on two.
"""

import numpy as np

from bench.measure import alternate
from bench.peers.fastnn_peer import FastnnTrainer
from bench.workloads import WORKS, problem
from fastnn.engine.arguments import Source, Whole
from fastnn.engine.buffers import Batch, Buffer, Columns
from fastnn.engine.clock import Clock, Shared, share
from fastnn.engine.native import call_step
from fastnn.engine.program import APART, aligned
from fastnn.engine.steps import EVERY
from fastnn.engine.team import run
from fastnn.engine.threads import run_threads
from fastnn.engine.worker import ADDRESS, FLOATS, GROUP, INTEGERS, PARTS, _barrier
from fastnn.kernels.atomics import ticks
from fastnn.kernels.jit import inlined, njit
from fastnn.training import lowering

ROWS = WORKS[3:]
COUNTS = (1, 2, 4, 8, 16)
LINE = 8
"""int64 numbers in a cache line."""
STREAMED = 2**27
"""Bytes that :func:`stream` reads and writes: more than the caches hold."""

_share = inlined(share)
_FIRST, _ROWS, _UPDATE = int(Clock.FIRST), int(Clock.ROWS), int(Clock.UPDATE)
_THREAD, _PART, _PARTS = int(Clock.THREAD), int(Clock.PART), int(Clock.PARTS)


@njit
def take_turns(steps, clock, batches, threads, kinds, cycles):
    """Run batches, each as the next thread in turn; add up the cycles of each kind of step."""
    place = np.int64(clock.ctypes.data)
    for batch in range(batches):
        thread = batch % threads
        clock[_THREAD], clock[_FIRST] = thread, batch * clock[_ROWS]
        clock[_UPDATE] += 1
        s = 0
        while s < steps.shape[0]:
            if steps[s, ADDRESS] != 0:
                parts = max(threads, steps[s, PARTS])
                lo, hi = _share(parts, thread, threads)
                clock[_PARTS] = parts
                begun = ticks()
                for part in range(lo, hi):
                    clock[_PART] = part
                    for step in range(s, s + steps[s, GROUP]):
                        integers, floats = steps[step, INTEGERS], steps[step, FLOATS]
                        call_step(steps[step, ADDRESS], integers, floats, place)
                cycles[kinds[s]] += ticks() - begun
            s += steps[s, GROUP]


@njit
def meet(shared, turns):
    """Meet another thread `turns` times."""
    for _ in range(turns):
        _barrier(shared, 2)


@njit
def hand_over(shared, thread, lines, turns, writes, reads, cycles):
    """Let thread 1 write every line, then thread 0 read it; add up own and total cycles."""
    total, begun = 0, ticks()
    for turn in range(turns):
        _barrier(shared, 2)
        if thread == 1 and writes:
            since = ticks()
            for i in range(0, lines.size, LINE):
                lines[i] = turn
            cycles[0] += ticks() - since
        _barrier(shared, 2)
        if thread == 0 and reads:
            since = ticks()
            for i in range(0, lines.size, LINE):
                total += lines[i]
            cycles[0] += ticks() - since
    cycles[1] += ticks() - begun
    cycles[2] = total


@njit
def stream(lines, turns):
    """Read and write one line after another."""
    for _ in range(turns):
        for i in range(lines.size):
            lines[i] += 1


def terms(entry, place, n):
    """Return where the seconds of an epoch of ``ROWS[place]`` on n threads go.

    whole
        The steps that every thread runs for all rows of the batch.
    shares
        A thread's share of all other steps.
    barriers
        Assumed to grow with the number of other threads, which arrive one after another.
    between cores
        A thread reads what every other thread has written, all threads at once, and takes back its
        own lines that others have read.  Every pair is assumed to cost what two cores cost.
    memory
        The extra time that the optimizer's state takes with two cores at once.  Beyond two, the
        bandwidth is assumed to grow with the cores.
    """
    one, two, work = entry["one"], entry["two"], ROWS[place]
    alone, pair = one["works"][place], two["works"][place]
    number, batches = COUNTS.index(n), work.rows // work.batch
    steps = alone["counts"][number]
    found = {"whole": steps["whole"], "shares": steps["shared"]}
    if n == 1:
        return found | dict.fromkeys(("barriers", "between cores", "memory"), 0.0)
    handed, traffic = pair["handed"][number - 1], pair["moved"]["memory"] / n
    slower = max(0.0, 2 / two["bandwidth"] - 1 / one["bandwidth"])
    return found | {
        "barriers": batches * pair["barriers"] * two["barrier"] * (n - 1),
        "between cores": batches * (handed["read"] * (n - 1) + handed["written"]),
        "memory": batches * traffic * slower,
    }


def losses(entry, place, n):
    """Return how far each term exceeds 1/n of what it is on one thread."""
    alone = terms(entry, place, 1)
    return {name: cost - alone[name] / n for name, cost in terms(entry, place, n).items()}


def memory_floor(entry, place):
    """Return the seconds per epoch that moving the state takes at two cores' bandwidth."""
    moved = entry["two"]["works"][place]["moved"]["memory"]
    return ROWS[place].rows // ROWS[place].batch * moved / entry["two"]["bandwidth"]


def at_once(job, threads=2):
    """Call ``job(thread)`` in threads started as the engine starts them."""
    run_threads(job, threads, lambda: None)


def crosses(argument):
    """Return whether a step's argument includes what other threads have written."""
    if isinstance(argument, Whole):
        return not isinstance(argument, Source)
    return type(argument) in (Batch, Columns) and type(argument.buffer) is Buffer


def lower(work, dtype, threads):
    """Return a work's training program, and the bytes that a batch moves, by kind."""
    data = problem(work, dtype)
    network = FastnnTrainer(data, threads).network
    network.model.keep_state()
    rows, state = network.model.check_data(data.X, data.y, None), len(network.optimizer.state)
    program, _ = lowering.training(
        network.model, network.optimizer, rows, lowering.Order(), work.batch, threads
    )
    weights = sum(array.nbytes for array in network.get_weights())
    steps = [step for _, group in program.groups if group for step in group.steps]
    taken = (each for step in steps for each in step.arguments if crosses(each))
    between = sum({each.array.ctypes.data: each.array.nbytes for each in taken}.values())
    moved = {"between": between, "memory": 2 * weights * (1 + state)}
    return program, moved if state else moved | {"memory": 0}


def in_turns(program, work, threads):
    """Return a contender that runs epochs of :func:`take_turns`, and the cycles it adds up."""
    groups = [group.steps if group else [None] for _, group in program.groups]
    whole = [int(step is not None and step.extent == EVERY) for group in groups for step in group]
    clock, cycles = aligned((APART,), np.int64), np.zeros(2, np.int64)
    clock[[Clock.ROWS, Clock.ALL_ROWS]], clock[Clock.TOTAL_ROWS] = work.batch, work.rows

    def epochs(count):
        for _ in range(count):
            take_turns(
                program.table[0], clock, work.rows // work.batch, threads, np.array(whole), cycles
            )

    return epochs, cycles


def shares(work, dtype, rounds, shortest):
    """Return [{"threads", "whole", "shared"}]: seconds per epoch of a thread's steps."""
    turns = {n: in_turns(lower(work, dtype, n)[0], work, n) for n in COUNTS}
    times = alternate({n: epochs for n, (epochs, _) in turns.items()}, rounds, shortest)
    found = []
    for n, (_, cycles) in turns.items():
        shared, whole = times[n]["median"] * cycles / cycles.sum()
        found.append({"threads": n, "shared": shared, "whole": whole})
    return found


def handed(size, rounds, shortest):
    """Return the extra seconds to read and to write `size` bytes that another core touched."""
    shared, lines = aligned((Shared.SIZE,), np.int64), aligned((size // 8,), np.int64)
    cycles = {modes: aligned((2, APART), np.int64) for modes in ((1, 1), (1, 0), (0, 1))}

    def contender(modes):
        def run(turns):
            at_once(lambda me: hand_over(shared, me, lines, turns, *modes, cycles[modes][me]))

        return run

    times = alternate({modes: contender(modes) for modes in cycles}, rounds, shortest)

    def seconds(modes, thread):
        own, every = cycles[modes][thread, :2]
        return times[modes]["median"] * own / every

    return {
        "read": max(0.0, seconds((1, 1), 0) - seconds((0, 1), 0)),
        "written": max(0.0, seconds((1, 1), 1) - seconds((1, 0), 1)),
    }


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return the measurements of one core or of two."""
    lines, shared = np.zeros(STREAMED // 8, np.int64), aligned((Shared.SIZE,), np.int64)
    own = np.array_split(lines, threads)
    costs = {"stream": lambda n: at_once(lambda me: stream(own[me], n), threads)}
    if threads == 2:
        costs["barrier"] = lambda n: at_once(lambda _: meet(shared, n))
    found = {name: time["median"] for name, time in alternate(costs, rounds, shortest).items()}
    found |= {"bandwidth": 2 * STREAMED / found.pop("stream"), "works": []}
    for work in ROWS:
        program, moved = lower(work, dtype, threads)

        def epochs(count, program=program, work=work):
            run(program, n_rows=work.rows, epochs=count)

        entry = {"work": work.name, "moved": moved}
        entry |= {"barriers": len({phase for phase, _ in program.groups})}
        entry["epoch"] = alternate({"epoch": epochs}, rounds, shortest)["epoch"]["median"]
        if threads == 1:
            entry["counts"] = shares(work, dtype, rounds, shortest)
        else:
            # Per program: from some number of threads on, it keeps transposed copies of weights.
            sizes = [lower(work, dtype, n)[1]["between"] // n for n in COUNTS[1:]]
            entry["handed"] = [handed(size, rounds, shortest / 4) for size in sizes]
        found["works"].append(entry)
    return found
