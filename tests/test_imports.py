"""Imports run one way, never in a circle, and nobody uses another file's private names."""

import ast
import functools
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from tests.sources import nodes, tree

PACKAGE = Path(fastnn.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
RUNTIME = {"numpy", "numba", "llvmlite", "fastnn"}
OPTIONAL = {"fastnn.tables": {"polars"}, "fastnn.sklearn": {"sklearn"}}
"""Packages that stand for an extra and may import it; importing fastnn does not import them."""

FLOORS = (
    ("kernels", "reference"),
    ("engine", "formulas"),
    ("activations", "callbacks", "constraints", "datasets", "initializers", "inputs", "layers",
     "losses", "metrics", "optimizers", "preprocessing", "regularizers", "schedules", "tables"),
    ("training", "files", "data"),
    ("network",),
    ("comparison", "flow", "many", "pretraining", "diagnosis", "warmup"),
    ("sklearn", "tabular"),
    ("export", "importing"),
    ("__init__",),
    ("cli", "__main__"),
)  # fmt: skip
"""What lies at the root, from the bottom up: nothing imports what stands above it."""
AT_THE_ROOT = 12
"""Most modules at the root that are no packages, `__init__` and `__main__` left out."""


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, everywhere):
    """Return the modules that a file imports: all of them, or those imported with the module."""

    def visit(node):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import in line {node.lineno}"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in ast.iter_child_nodes(node):
                yield from visit(child)

    return set(visit(tree(path)))


MODULES = {module_name(path) for path in FILES}


@functools.cache
def graph():
    """Return which of our modules each of them imports."""
    return {
        module_name(path): imported(path, everywhere=True) & MODULES - {module_name(path)}
        for path in FILES
    }


def floor(module):
    """Return the floor that a module stands on."""
    top = (module.split(".") + ["__init__"])[1]
    return next(n for n, names in enumerate(FLOORS) if top in names)


def circle(arrows):
    """Return modules that import each other in a circle, or None."""
    done = set()

    def visit(module, path):
        if module in path:
            return path[path.index(module) :]
        if module not in done:
            for target in sorted(arrows[module]):
                found = visit(target, [*path, module])
                if found:
                    return found
            done.add(module)
        return None

    return next((found for module in sorted(arrows) if (found := visit(module, []))), None)


def test_everything_at_the_root_has_a_floor():
    tops = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()}
    tops -= {"__pycache__", "py"}  # "py.typed" tells type checkers to use our types
    assert tops == {name for names in FLOORS for name in names}


def test_the_root_shows_what_people_import():
    modules = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) <= AT_THE_ROOT, modules


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_one_way(module):
    for target in graph()[module]:
        assert floor(target) <= floor(module), f"{module} imports {target}, which stands above it"


def test_no_modules_import_each_other_in_a_circle():
    # For type checkers only counts as well: who needs the other's types is tied to it.
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle(graph()) is None


@pytest.mark.parametrize(
    "package",
    ["fastnn", *(f"fastnn.{name}" for name in (
        "callbacks", "comparison", "diagnosis", "export", "importing", "layers",
        "losses", "optimizers", "preprocessing",
    ))],
)  # fmt: skip
def test_packages_export_what_they_import(package):
    # To type checkers, which read our types, an import alone is nobody else's business.
    module = importlib.import_module(package)
    found = [node for node in nodes(Path(module.__file__)) if isinstance(node, ast.ImportFrom)]
    names = {a.name for node in found if node.module.startswith(package) for a in node.names}
    assert names - {"uncollected"} <= set(module.__all__)


def test_type_checkers_are_told_of_our_types():
    assert (PACKAGE / "py.typed").read_bytes() == b""


NAMEDTUPLE = {"_asdict", "_fields", "_make", "_replace"}
"""Public, but for their underscore, which keeps them apart from a tuple's own fields."""


def private_names(path):
    """Yield the private names of other files that a file uses: imported, or reached through."""
    own = {node.name for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.id for node in nodes(path) if isinstance(node, ast.Name)}
    own |= {  # what a class of this file sets or reads on its own objects
        node.attr
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls")
    }
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
        else:
            names = [node.attr] if isinstance(node, ast.Attribute) else []
        for name in names:
            if name.startswith("_") and not name.startswith("__"):
                if isinstance(node, ast.ImportFrom) or name not in own | NAMEDTUPLE:
                    yield f"{name} in line {node.lineno}"


NUMBA = PACKAGE / "kernels" / "numba_internals.py"
"""The one file that is there to reach for private names: see tests/test_numba_internals.py."""


@pytest.mark.parametrize("path", [path for path in FILES if path != NUMBA], ids=module_name)
def test_nobody_uses_the_private_names_of_another_file(path):
    assert not list(private_names(path))


def test_a_private_name_of_another_file_is_found(tmp_path):
    path = tmp_path / "other.py"
    path.write_text("from a import _b\n\n\ndef f(x):\n    return x._c + _b\n", encoding="utf-8")
    assert list(private_names(path)) == ["_b in line 1", "_c in line 5"]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_modules_import_numpy_numba_and_the_standard_library_only(path):
    module = module_name(path)
    package = ".".join(module.split(".")[:2])
    allowed = RUNTIME | OPTIONAL.get(package, set()) | sys.stdlib_module_names
    foreign = {target.split(".")[0] for target in imported(path, everywhere=False)} - allowed
    assert not foreign, f"{module} imports {foreign} with itself; import it where it is used"


@pytest.mark.parametrize("path", sorted((PACKAGE / "kernels").rglob("*.py")), ids=module_name)
def test_kernels_know_nothing_above_them(path):
    for target in imported(path, everywhere=True):
        top = target.split(".")[0]
        assert top in {"numpy", "numba", "llvmlite"} | sys.stdlib_module_names or (
            target.startswith("fastnn.kernels")
        ), f"{module_name(path)} imports {target}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "reference").glob("*.py")), ids=module_name)
def test_the_reference_knows_numpy_only(path):
    for target in imported(path, everywhere=True):
        top = target.split(".")[0]
        assert top in {"numpy"} | sys.stdlib_module_names or (
            target.startswith("fastnn.reference")
        ), f"{module_name(path)} imports {target}"


def test_importing_fastnn_imports_no_other_library():
    program = (
        "import sys, fastnn; print(*sys.modules); fastnn.Network; fastnn.Dense; print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    first, used = (
        {name.split(".")[0] for name in line.split()} for line in result.stdout.split("\n")[:2]
    )
    assert not {"numpy", "numba", "llvmlite"} & first
    # Not scipy: Numba itself looks at it wherever it is installed.
    peers = {"torch", "jax", "sklearn", "pandas", "polars", "matplotlib", "safetensors"}
    peers |= {"onnx", "keras"}
    assert "numba" in used and not peers & used


def test_every_name_of_the_package_is_found_where_type_checkers_are_told():
    told = [
        (alias.name, node.module)
        for block in tree(Path(fastnn.__file__)).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(name for name, _ in told) == sorted(fastnn.__all__)
    for name, module in told:
        assert getattr(fastnn, name) is getattr(importlib.import_module(module), name)
    for name in ("Dens", "losses.base", "", "a b"):
        with pytest.raises(AttributeError, match=f"module 'fastnn' has no attribute '{name}'"):
            getattr(fastnn, name)


def test_what_the_package_shows_is_there_and_for_users():
    shown = {name for name in dir(fastnn) if not name.startswith("__")}
    assert shown >= {*fastnn.__all__, "datasets", "flow", "kernels", "losses", "tabular"}
    assert not shown & {"Any", "engine", "inputs", "import_module", "sys", "warnings"}
    assert all(hasattr(fastnn, name) for name in shown)


@pytest.mark.long
def test_every_module_can_be_the_first_that_is_imported():
    # In forks of a process that has imported what they need.  A package comes before its modules.
    program = """
import os, sys, numpy, numba
for name in sys.argv[1:]:
    if not os.fork():
        try:
            __import__(name)
        except BaseException as error:
            print(name, repr(error), flush=True)
        os._exit(0)
    os.wait()
"""
    modules = sorted(name for name in MODULES if name.count(".") == 1)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *modules], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


OLD_PATHS = (
    "arrays", "checks", "class_trees", "compacting", "custom", "dropout", "evaluation", "families",
    "fitting", "hierarchical", "lowering", "modelfile", "monitors", "normalization", "parts",
    "penalties", "prediction", "storage", "summary",
)  # fmt: skip
"""Where modules were before they moved into folders."""


@pytest.mark.parametrize("name", OLD_PATHS)
def test_old_import_paths_go_on_working_until_they_end(name):
    old = f"fastnn.{name}"
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=rf"{old} is now fastnn\.\w+\.\w+, and") as warned:
        module = importlib.import_module(old)
    assert getattr(fastnn, name) is module
    assert sys.modules[module.__name__] is module  # the very module, not a second copy of it
    assert module.__spec__.name == module.__name__
    end = str(warned[0].message).split("ends with fastnn ")[1]
    assert [*map(int, fastnn.__version__.split(".")[:2])] < [*map(int, end.split("."))]


def test_who_imports_an_old_path_is_told():
    sys.modules.pop("fastnn.dropout", None)
    with pytest.warns(DeprecationWarning) as warned:
        from fastnn.dropout import Dropout
    assert Dropout is fastnn.Dropout and warned[0].filename == __file__
