"""One row in exported files, beside ours: ``python bench/exported.py`` prints sizes and times."""

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastnn.export

SHAPES = ([20, 16, 1], [200, 64, 64, 1], [64, 128, 10])
ROUNDS, CALLS = 15, 2000


def seconds(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the median time of a call."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls)
    return float(np.median(found))


def compiled(path: Path, name: str) -> tuple[ctypes.CDLL, int]:
    """Return a library that also has a loop over calls of a function, and the object's size."""
    loop = path.with_name("loop.c")
    loop.write_text(
        f"void {name}(const float *, float *);\n"
        f"void repeat(const float *x, float *y, int n) {{ while (n--) {name}(x, y); }}\n"
    )
    library, part = path.with_suffix(".so"), path.with_suffix(".o")
    flags = ["gcc", "-O2", "-std=c99", "-fPIC"]
    subprocess.run([*flags, "-c", "-o", part, path], check=True)
    subprocess.run([*flags, "-shared", "-o", library, part, loop, "-lm"], check=True)
    return ctypes.CDLL(str(library)), part.stat().st_size


def main() -> None:
    print("| network | what | source, bytes | object, bytes | one row, µs |")
    print("|---|---|---:|---:|---:|")
    for sizes in SHAPES:
        called = "-".join(map(str, sizes))
        hidden = [fastnn.Dense(units, "relu") for units in sizes[1:-1]]
        network = fastnn.Network([*hidden, fastnn.Dense(sizes[-1])])
        network.build(sizes[0])
        x, y = np.ones((1, sizes[0]), np.float32), np.empty((1, sizes[-1]), np.float32)
        network.predict(x)
        ours = seconds(lambda n=network, x=x: n.predict(x))
        print(f"| {called} | fastnn, from Python | | | {ours * 1e6:.2f} |")
        with tempfile.TemporaryDirectory() as folder:
            for int8 in (False, True):
                path = Path(folder) / f"a{int8}.c"
                fastnn.export.c(network, path, name="f", int8=int8)
                library, size = compiled(path, "f")
                given = x.ctypes.data, y.ctypes.data
                pointers = [ctypes.c_void_p(each) for each in given]
                took = seconds(lambda c=library, p=pointers: c.repeat(*p, 1000), 5) / 1000
                what = "C, int8" if int8 else "C"
                print(f"| {called} | {what} | {path.stat().st_size} | {size} | {took * 1e6:.2f} |")
            path = Path(folder) / "a.py"
            fastnn.export.python(network, path)
            names: dict = {}
            exec(path.read_text(), names)
            took = seconds(lambda f=names["predict"], x=x: f(x), 200)
            print(f"| {called} | Python | {path.stat().st_size} | | {took * 1e6:.2f} |")
            try:
                import onnxruntime
            except ImportError:
                continue
            path = Path(folder) / "a.onnx"
            fastnn.export.onnx(network, path)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options)
            took = seconds(lambda s=session, x=x: s.run(None, {"X": x}), 200)
            print(f"| {called} | ONNX Runtime | {path.stat().st_size} | | {took * 1e6:.2f} |")


if __name__ == "__main__":
    main()
