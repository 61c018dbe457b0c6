"""Which of the names that Numba does not promise to keep has a release changed?

Run this file after an upgrade: each name is a test.  Nothing here imports fastnn before a test
starts, because fastnn cannot be imported where one of the names is gone.  Only
``kernels/numba_internals.py`` may use such names, and the last tests see to that.
"""

import ast
import contextlib
import ctypes
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numba
import pytest
from numba import types

from tests.sources import nodes

PACKAGE = Path(__file__).parents[1] / "fastnn"
INTERNALS = PACKAGE / "kernels" / "numba_internals.py"
FILES = sorted(PACKAGE.rglob("*.py"))
OTHERS = [path for path in FILES if path != INTERNALS]

CALLED = {
    "llvmlite.binding:add_symbol": "name address",
    "llvmlite.binding:get_host_cpu_name": "",
    "llvmlite.binding:get_process_triple": "",
    "llvmlite.ir:IRBuilder._insert": "self instr",
    "llvmlite.ir:instructions.StoreInstr": "parent val ptr",
    "llvmlite.ir:instructions.StoreInstr.descr": "self buf",
    "numba.core.caching:NullCache": "",
    "numba.core.caching:NullCache.load_overload": "self sig target_context",
    "numba.core.caching:NullCache.save_overload": "self sig cres",
    "numba.core.callconv:CPUCallConv.call_function": "self builder callee resty argtys args",
    "numba.core.callconv:CPUCallConv.return_user_exc": "self builder exc exc_args",
    "numba.core.ccallback:CFunc": "pyfunc sig locals options",
    "numba.core.ccallback:CFunc.compile": "self",
    "numba.core.cgutils:_StructProxy._getvalue": "self",
    "numba.core.cgutils:add_global_variable": "module ty name",
    "numba.core.cgutils:alloca_once_value": "builder value",
    "numba.core.cgutils:for_range": "builder count",
    "numba.core.cgutils:for_range_slice": "builder start stop step intp",
    "numba.core.cgutils:get_or_insert_function": "module fnty name",
    "numba.core.cgutils:raw_memcpy": "builder dst src count itemsize",
    "numba.core.cgutils:unpack_tuple": "builder tup count",
    "numba.core.compiler:CompileResult._reduce": "self",
    "numba.core.dispatcher:Dispatcher._compile_for_args": "self",
    "numba.core.dispatcher:Dispatcher.compile": "self sig",
    "numba.core.dispatcher:Dispatcher.get_call_template": "self args kws",
    "numba.core.errors:NumbaError": "msg",
    "numba.core.errors:TypingError": "msg",
    "numba.core.registry:cpu_target.target_context.add_linking_libs": "libs",
    "numba.core.registry:cpu_target.target_context.codegen": "",
    "numba.core.registry:cpu_target.target_context.declare_function": "module fndesc",
    "numba.core.registry:cpu_target.target_context.get_abi_sizeof": "ty",
    "numba.core.registry:cpu_target.target_context.get_data_type": "ty",
    "numba.core.registry:cpu_target.target_context.get_dummy_value": "",
    "numba.core.registry:cpu_target.target_context.make_array": "typ",
    "numba.core.registry:cpu_target.target_context.make_tuple": "builder typ values",
    "numba.core.registry:cpu_target.target_context.populate_array": "arr",
    "numba.core.runtime:rtsys.initialize": "ctx",
    "numba.core.serialize:dumps": "obj",
    "numba.core.sigutils:normalize_signature": "sig",
    "numba.np.arrayobj:populate_array": "array data shape strides itemsize meminfo",
}
"""What is called, and with which arguments: others must have defaults."""
READ = {
    "llvmlite.binding:llvm_version_info",
    "numba.core.caching:NullCache.cache_path",
    "numba.core.ccallback:CFunc.address",
    "numba.core.codegen:CodeLibrary.has_dynamic_globals",
    "numba.core.compiler:CompileResult._rebuild",
    "numba.core.registry:cpu_target.target_context.call_conv",
}
"""What else must be there."""

PUBLIC = {
    "numba": {
        *("__version__", "carray", "config", "from_dtype", "njit", "typeof", "types"),
    },
    "numba.extending": {"intrinsic", "is_jitted", "models", "register_model"},
}
"""What Numba's documentation has, for use anywhere."""
UNDOCUMENTED = {"get_call_template", "nopython_signatures", "overloads", "targetoptions"}
"""Attributes of dispatchers that it does not have."""
SKLEARN = {"_init_callback_context"}
"""What scikit-learn documents for estimators of others, underscore and all."""
NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}


def _defined(node):
    """Return the name that a node of a syntax tree gives to something, or None."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return getattr(node, "attr", getattr(node, "id", None))
    return None


@functools.cache
def ours():
    """Return what fastnn itself has a name for."""
    return {_defined(node) for path in OTHERS for node in nodes(path)}


def used(**owners):
    """Return the full names of what fastnn takes from these variables, by what they stand for."""
    mention = re.compile(rf"\b({'|'.join(owners)})\.")  # most files have none, and are not parsed
    return {
        owners[owner] + node.attr
        for path in FILES
        if mention.search(path.read_text(encoding="utf-8"))
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and (owner := getattr(node.value, "attr", getattr(node.value, "id", None))) in owners
    }


TOOLS = {
    "call_conv": "numba.core.callconv:CPUCallConv.",
    "cgutils": "numba.core.cgutils:",
    "context": "numba.core.registry:cpu_target.target_context.",
    "llvm": "llvmlite.binding:",
    "target_context": "numba.core.registry:cpu_target.target_context.",
}
"""What the code takes names from, which are then in a table."""
LLVM = used(ir="llvmlite.ir:", builder="llvmlite.ir:IRBuilder.", inner="llvmlite.ir:IRBuilder.")


@pytest.fixture(autouse=True)
def _threads_however_small_the_work():
    """Override what all other tests share: it imports fastnn."""


@pytest.fixture
def internals():
    return importlib.import_module("fastnn.kernels.numba_internals")


@pytest.mark.parametrize("name", CALLED)
def test_what_is_called_takes_the_same_arguments(name):
    wanted = CALLED[name].split()
    signature = inspect.signature(pkgutil.resolve_name(name))
    parameters = list(signature.parameters.values())
    assert [parameter.name for parameter in parameters[: len(wanted)]] == wanted, signature
    for parameter in parameters[len(wanted) :]:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert variable or parameter.default is not parameter.empty, signature


@pytest.mark.parametrize("name", sorted(READ | LLVM))
def test_what_is_read_is_there(name):
    pkgutil.resolve_name(name)


def test_the_tables_have_what_is_used_and_no_more():
    listed = {name for name in {*CALLED, *READ} if name.startswith(tuple(TOOLS.values()))}
    assert listed - {"numba.core.cgutils:_StructProxy._getvalue"} == used(**TOOLS)


def test_each_name_is_there_for_another_file(internals):
    taken = {
        alias.name
        for path in OTHERS
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module == internals.__name__
        for alias in node.names
    }
    assert taken == set(internals.__all__)


def test_a_dispatcher_has_the_attributes_that_we_set_and_read(internals):
    made = numba.njit(fastmath={"nsz"})(lambda x: x)
    assert {"_cache", "locals", "overloads", "targetoptions"} <= set(vars(made))
    assert internals.fastmath_flags(made) == {"nsz"}
    assert ("fastmath", {"nsz"}) in internals.compile_options(made)


def test_a_call_compiles_in_our_block_once_for_each_type(internals):
    entered = []

    @contextlib.contextmanager
    def block(*arguments):
        entered.append(arguments)
        yield

    double = numba.njit(lambda x: 2 * x)
    internals.compile_within(double, block)
    assert [double(3), double(4), double(0.5)] == [6, 8, 1.0]
    assert entered == [(3,), (0.5,)]


def test_compiling_for_types(internals):
    shorten = numba.njit(lambda x: x[1:])
    internals.compile_for(shorten, (types.float64[::1],))
    assert shorten.signatures == [(types.float64[::1],)]
    with pytest.raises(internals.NumbaError, match="getitem"):
        internals.compile_for(shorten, (types.float64,))


def test_compiled_code_is_stored_and_loaded(internals):
    kept = {}

    class Cache(internals.NoCache):
        def load_overload(self, sig, target_context):
            stored = kept.get((sig, internals.target(target_context)))
            return stored and internals.unpacked(stored, target_context)

        def save_overload(self, sig, cres):
            kept[sig, internals.target(cres.target_context)] = internals.packed(cres)

    def double(x):
        return 2 * x

    first, second = numba.njit(double), numba.njit(double)
    for made in (first, second):
        internals.set_cache(made, Cache())
        assert made(3) == 6
    assert len(kept) == 1
    assert sum(first.stats.cache_misses.values()) == sum(second.stats.cache_hits.values()) == 1
    assert not second.stats.cache_misses


def test_code_with_addresses_of_this_process_is_not_stored(internals):
    stored = []

    class Cache(internals.NoCache):
        def save_overload(self, sig, cres):
            stored.append(internals.packed(cres))

    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(abs)
    made = numba.njit(lambda x: function(x))
    internals.set_cache(made, Cache())
    assert made(-3.0) == 3
    assert stored == [None]


def test_code_that_is_called_by_address(internals):
    def double(x):
        return 2 * x

    cache = internals.NoCache()
    made = internals.make_cfunc(
        double, types.int64(types.int64), cache, error_model="numpy", fastmath={"nsz"}
    )
    assert made.address is None
    made.compile()
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(made.address)(3) == 6
    assert made._cache is cache


def test_the_processor(internals):
    name, features = internals.processor()
    assert name == (numba.config.CPU_NAME or internals.llvm.get_host_cpu_name())
    assert features and all(feature[0] in "+-" for feature in features if feature)


def imports(path):
    """Yield (module, name) for what a file imports; the name of a whole module is None."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_other_files_keep_to_what_is_documented(path):
    for module, name in imports(path):
        if module.split(".")[0] in {"numba", "llvmlite"}:
            assert module in PUBLIC, f"imports {module}"
            assert name is None or name in PUBLIC[module], f"imports {name} from {module}"
    for node in nodes(path):
        if not isinstance(node, ast.Attribute):
            continue
        where = f"line {node.lineno}: {ast.unparse(node)}"
        if getattr(node.value, "id", None) == "numba":
            assert node.attr in PUBLIC["numba"], where
        assert node.attr not in UNDOCUMENTED, where
        if node.attr.startswith("_") and not node.attr.startswith("__"):
            assert node.attr in ours() | NAMED_TUPLE | SKLEARN, (
                f"{where} is private to another library"
            )
