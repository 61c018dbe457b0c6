"""Imports run one way: network -> layers, losses ... -> engine -> kernels; see CONTRIBUTING.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
RUNTIME = {"numpy", "numba", "llvmlite", "fastnn"}
OPTIONAL = {"fastnn.tables": {"polars"}}
"""Packages that stand for an extra and may import it; importing fastnn does not import them."""

FRONT = {
    "fastnn",
    "fastnn.__main__",
    "fastnn.network",
    "fastnn.fitting",
    "fastnn.evaluation",
    "fastnn.modelfile",
    "fastnn.compacting",
    "fastnn.summary",
    "fastnn.many",
    "fastnn.pretraining",
    "fastnn.cli",
    "fastnn.warmup",
}


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

    return set(visit(ast.parse(path.read_text(encoding="utf-8"))))


MODULES = {module_name(path) for path in FILES}


def room(module):
    """Return a module's floor: 0 kernels, 1 engine, 2 layers, losses and so on, 3 the front."""
    if module.startswith("fastnn.kernels"):
        return 0
    if module.startswith("fastnn.engine"):
        return 1
    front = module in FRONT or module.startswith(("fastnn.cli.", "fastnn.diagnosis"))
    return 3 if front else 2


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path):
    module = module_name(path)
    for target in imported(path, everywhere=True):
        if target.split(".")[0] != "fastnn" or target.startswith("fastnn.reference"):
            continue
        assert room(target) <= room(module), f"{module} imports {target}, which stands above it"


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


def test_importing_fastnn_imports_no_optional_library():
    program = "import sys, fastnn; print(*{name.split('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # Not scipy: Numba itself looks at it wherever it is installed.
    peers = {"torch", "jax", "sklearn", "pandas", "polars", "matplotlib", "safetensors"}
    assert not peers & set(result.stdout.split())
