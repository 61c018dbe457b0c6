"""What the families of named things share: look-up by name, and storable configurations."""

from collections.abc import Mapping
from typing import Any

from fastnn.inputs.checks import listed, one_of


class Configured:
    """Something made of plain settings, which are its attributes: comparable and storable."""

    def to_config(self) -> dict[str, Any]:
        """Return the class name and the settings; what is configured itself is one of its own."""
        settings = {
            name: value.to_config() if isinstance(value, Configured) else value
            for name, value in vars(self).items()
        }
        return {"name": type(self).__name__, **settings}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configured) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


def look_up(wanted: Any, name: str, kind: type, table: Mapping[str, Any]) -> Any:
    """Return `wanted` itself, or what it names in `table`; a class or function there is called.

    Raises
    ------
    ValueError
        For a name that is not in the table.
    TypeError
        For anything that is neither a name, a configuration, nor of this `kind`.
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
