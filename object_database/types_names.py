"""What the names in annotations stand for when they are strings."""

from __future__ import annotations

import builtins
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Names", "annotations_of"]


class Names(dict[str, Any]):
    """Looks a name up in scopes, the first one first, then in the builtins, then asks `otherwise`."""

    def __init__(self, *scopes: Mapping[str, Any], otherwise: Callable[[str], Any] | None = None):
        self._scopes = (*scopes, vars(builtins))
        self._otherwise = otherwise

    def __missing__(self, name: str) -> Any:
        for scope in self._scopes:
            if name in scope:
                return scope[name]
        if self._otherwise is None:
            raise NameError(f"name {name!r} is not defined")
        return self._otherwise(name)

    def __call__(self, text: str) -> Any:
        """What an annotation written as a string stands for."""
        return eval(text, {}, self)


def module_of(cls: type) -> Mapping[str, Any]:
    return getattr(sys.modules.get(cls.__module__), "__dict__", {})


def annotations_of(cls: type) -> dict[str, Any]:
    """The annotations of one class body. From Python 3.14 on they are evaluated late: names that are not there yet are
    given as ForwardRef."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)
