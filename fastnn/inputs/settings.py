"""Settings, declared once together with their checks; and look-up by name.

::

    class Huber(Loss):
        delta: float = setting(default=1.0, check=positive_float)

is all it takes.  ``Huber(0.5)`` is checked, and so is ``loss.delta = 2``.  Objects can be compared,
printed, copied and stored, and have scikit-learn's ``get_params`` and ``set_params``.
"""

import copy
import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from fastnn.inputs.checks import listed, one_of

T = TypeVar("T")
Check = Callable[[Any, str], Any]
"""``check(value, name)`` returns the value to keep, or raises a ValueError or TypeError that names
the argument."""

_REQUIRED: Any = object()
_changes = itertools.count(1)
_revision = 0


class Setting:
    """A class's declaration of one setting."""

    def __init__(
        self, default: Any, check: Check | None, kw_only: bool, init: bool, building: bool
    ):
        self.default, self.check, self.kw_only, self.init = default, check, kw_only, init
        self.building = building
        self.required = default is _REQUIRED


def setting(
    *,
    default: Any = _REQUIRED,
    check: Check | None = None,
    kw_only: bool = False,
    init: bool = True,
    building: bool = False,
) -> Any:
    """Declare a setting, in the body of a class.

    Parameters
    ----------
    default : object, optional
        Checked like any other value, when it is used.
    check : callable, optional
        ``check(value, name)`` returns the value to store, or raises.
    kw_only : bool
        Whether it must be given by name.
    init : bool
        False declares an attribute that is not a setting, such as something `fit` learns.
    building : bool
        Whether a network reads it only to make its parameters.  It then cannot change afterwards.
    """
    return Setting(default, check, kw_only, init, building)


def optional(check: Check) -> Check:
    """Return a check that also accepts None.

    Examples
    --------
    >>> from fastnn.inputs.checks import positive_int
    >>> optional(positive_int)(None, "k") is None
    True
    """
    return lambda value, name: None if value is None else check(value, name)


def among(*choices: str) -> Check:
    """Return a check that accepts the names in `choices`."""
    return partial(one_of, choices=choices)


def revision() -> int:
    """Return a number that changes whenever an attribute of a configured object is set."""
    return _revision


@dataclass_transform(field_specifiers=(setting,))
class Configured:
    """Base of objects that consist of settings: checked, comparable, printable and storable.

    A subclass declares its settings with :func:`setting` and gets an ``__init__`` that takes them
    in that order, after those of its bases.  Settings are attributes that can be assigned to.  They
    are values: assign a new list instead of changing one in place.  Assigning to anything that is
    not declared raises AttributeError, unless its name begins or ends with ``_``.

    A subclass or a mixin may define its own ``__init__`` instead.  Then all attributes of an object
    are its settings, except those whose names end with ``_``, and any name will do.

    Examples
    --------
    >>> from fastnn.inputs.checks import positive_float
    >>> class Huber(Configured):
    ...     delta: float = setting(default=1.0, check=positive_float)
    >>> loss = Huber(2)
    >>> loss, loss == Huber(2.0), loss.to_config()
    (Huber(delta=2.0), True, {'name': 'Huber', 'delta': 2.0})
    >>> loss.delta = -1
    Traceback (most recent call last):
    ValueError: delta is -1, wanted a finite number above 0
    >>> loss.delta
    2.0
    """

    _declared: ClassVar[Mapping[str, Setting]] = {}
    _others: ClassVar[frozenset[str]] = frozenset()
    """Names of attributes that are declared and are not settings."""
    _writes_init: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}
        for name, value in own.items():
            if value.required:
                delattr(cls, name)
            else:
                setattr(cls, name, value.default)
        inherited = (vars(base).get("_others", ()) for base in cls.__mro__[1:])
        others = (name for name, value in own.items() if not value.init)
        cls._others = frozenset(others).union(*inherited)
        own = {name: value for name, value in own.items() if value.init}
        declared: dict[str, Setting] = {}
        for base in reversed(cls.__mro__[1:]):
            declared.update(vars(base).get("_declared", ()))
        declared.update(own)
        cls._declared = dict(sorted(declared.items(), key=lambda item: item[1].kw_only))
        first = next(base for base in cls.__mro__ if "__init__" in vars(base))
        cls._writes_init = first is not object and vars(first).get("_writes_init", True)
        theirs = vars(first).get("_declared", {})
        merged = not cls._writes_init and list(cls._declared) != list(theirs)
        if first is not cls and (own or merged):
            cls._writes_init = False
            cls.__init__ = _Init(cls)  # type: ignore[method-assign,assignment]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._declared:
            self._assign({name: value})
            return
        if not (
            self._writes_init or name in self._others or name.startswith("_") or name.endswith("_")
        ):
            known = ", ".join(self._declared) or "none"
            raise AttributeError(
                f"{type(self).__name__} has no setting {name!r} "
                f"({near(name, self._declared)}its settings: {known})"
            )
        super().__setattr__(name, value)
        _note_change()

    def __delattr__(self, name: str) -> None:
        if name in self._declared:
            raise AttributeError(f"{name} is a setting of {type(self).__name__}, wanted a value")
        super().__delattr__(name)

    def _assign(self, given: Mapping[str, Any]) -> None:
        """Check settings and set all of them or none."""
        checked = dict(given)
        for name, value in given.items():
            check = self._declared[name].check if name in self._declared else None
            if check is not None:
                checked[name] = check(value, name)
        kept = vars(self).copy()
        vars(self).update(checked)
        try:
            self.check_settings()
        except BaseException:
            vars(self).update(kept)
            raise
        _note_change()

    def check_settings(self) -> None:
        """Raise if settings do not go together; set what follows from them.

        Runs after every change.  If it raises, the change is undone.
        """

    def building(self) -> dict[str, Any]:
        """Return the settings that only building a network reads."""
        own = vars(self)
        return {n: _now(own[n]) for n, each in self._declared.items() if each.building}

    def settings(self) -> dict[str, Any]:
        """Return the settings by name, in the order of ``__init__``."""
        own = vars(self)
        if self._writes_init:
            return {name: value for name, value in own.items() if not name.endswith("_")}
        return {name: own[name] for name in self._declared}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, as in scikit-learn; `deep` adds nested ones as ``outer__inner``.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.Dropout(0.5).get_params()
        {'rate': 0.5, 'scaling': 'inverted'}
        """
        params = self.settings()
        for name, value in list(params.items() if deep else ()):
            if isinstance(value, Configured):
                params |= {f"{name}__{inner}": each for inner, each in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set all of these settings or none; ``outer__inner`` is a setting of a nested object.

        Raises
        ------
        ValueError, TypeError
            For an unknown name, or a value out of range.

        Examples
        --------
        >>> import fastnn
        >>> fastnn.Adam(fastnn.CosineDecay(0.1, 100)).set_params(learning_rate__alpha=0.5)
        Adam(learning_rate=CosineDecay(initial_learning_rate=0.1, decay_steps=100.0, alpha=0.5, \
hold_steps=0), beta_1=0.9, beta_2=0.999, epsilon=1e-07, amsgrad=False)
        """
        changed: dict[str, Any] = {}
        known = self.settings()
        for path, value in params.items():
            name, _, inner = path.partition("__")
            one_of(name, f"a parameter of {type(self).__name__}", known)
            if inner:
                nested = changed.get(name, known[name])
                if not isinstance(nested, Configured):
                    raise ValueError(f"{name} is {nested!r}, which has no parameter {inner!r}")
                value = copy.copy(nested).set_params(**{inner: value})
            changed[name] = value
        self._assign(changed)
        return self

    def __sklearn_clone__(self) -> Self:
        return copy.copy(self)

    def to_config(self) -> dict[str, Any]:
        """Return the class name and the settings, as JSON can hold them."""
        settings = {
            name: value.to_config() if isinstance(value, Configured) else value
            for name, value in self.settings().items()
        }
        return {"name": type(self).__name__, **settings}

    def snapshot(self) -> tuple[Any, ...]:
        """Return a value that equals a later snapshot if no setting has changed in between."""
        return type(self), *((name, _now(value)) for name, value in self.settings().items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configured) and self.snapshot() == other.snapshot()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({settings})"


class Stateful(Configured):
    """Base of configured objects that have a state too: each is equal only to itself."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def copied(value: Any) -> Any:
    """Return a copy of configured objects, however deep, that shares no settings with them."""
    if isinstance(value, list):
        return [copied(each) for each in value]
    if not isinstance(value, Configured):
        return value
    twin = copy.copy(value)
    vars(twin).update({name: copied(each) for name, each in vars(twin).items()})
    return twin


def near(name: str, known: Iterable[str]) -> str:
    """Return a message's hint at the most similar known name, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {found[0]!r}? " if found else ""


def _now(value: Any) -> Any:
    """Return a setting's value, with snapshots in place of configured objects."""
    if isinstance(value, list):
        return [_now(each) for each in value]  # copies, however deep
    return value.snapshot() if isinstance(value, Configured) else value


def _note_change() -> None:
    global _revision
    _revision = next(_changes)  # unique, even if several threads are here


class _Init:
    """Stands in for the ``__init__`` of a class until it is first used.

    Generating all of them during the import would take 3 ms.
    """

    def __init__(self, cls: type[Configured]):
        self.cls = cls

    def __get__(self, instance: Any, owner: Any) -> Callable[..., None]:
        written: Any = _written_init(self.cls)
        self.cls.__init__ = written  # type: ignore[method-assign]
        return written.__get__(instance, owner)


def _written_init(cls: type[Configured]) -> Callable[..., None]:
    """Return the ``__init__`` of a class: a real function, with Python's signature and errors."""
    declared = cls._declared
    arguments = ["self"]
    for name, each in declared.items():
        if each.kw_only and "*" not in arguments:
            arguments.append("*")
        default = "" if each.required else f"=declared[{name!r}].default"
        arguments.append(name + default)
    settings = ", ".join(f"{name!r}: {name}" for name in declared)
    source = f"def __init__({', '.join(arguments)}):\n    self._assign({{{settings}}})\n"
    scope = {"declared": declared, "__name__": cls.__module__}
    exec(source, scope)
    written: Any = scope["__init__"]
    written.__qualname__ = f"{cls.__qualname__}.__init__"
    annotations: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations |= getattr(base, "__annotations__", {})
    known = {name: annotations[name] for name in declared if name in annotations}
    written.__annotations__ = {**known, "return": None}
    return written


def table(family: type[T]) -> dict[str, type[T]]:
    """Return a family's classes by `name`, then by `aliases`; neither is inherited."""
    own = {kind: vars(kind) for kind in subclasses(family)}
    names = {said["name"]: kind for kind, said in own.items() if said.get("name")}
    return names | {alias: kind for kind, said in own.items() for alias in said.get("aliases", ())}


def subclasses(family: type[T]) -> Iterator[type[T]]:
    """Yield all subclasses, parents first."""
    for kind in family.__subclasses__():
        yield kind
        yield from subclasses(kind)


def look_up(wanted: Any, name: str, kind: type, table: Mapping[str, Any]) -> Any:
    """Return `wanted` itself, or the entry of `table` that it names; a class there is called.

    Raises
    ------
    ValueError
        For a name that is not in the table.
    TypeError
        For anything that is not a name, a configuration or an object of this `kind`.
    """
    if isinstance(wanted, kind):
        return wanted
    first = {entry: known for known, entry in reversed(list(table.items()))}
    names = [known for known, entry in table.items() if first[entry] == known]
    if isinstance(wanted, Mapping):
        settings = dict(wanted)
        classes = {entry.__name__: entry for entry in table.values() if isinstance(entry, type)}
        return classes[one_of(settings.pop("name", None), f"{name}['name']", classes)](**settings)
    if isinstance(wanted, str):
        known = wanted.lower()
        found = table[known if known in table else one_of(known, name, names)]
        return found() if isinstance(found, type) else found
    if isinstance(wanted, type) and issubclass(wanted, kind):
        got = wanted.__name__
        raise TypeError(f"{name} is the class {got}, wanted an object: {got}()")
    raise TypeError(
        f"{name} must be a name ({listed(names)}) or an object of {kind.__name__}, "
        f"got {type(wanted).__name__}"
    )
