"""Functions in a user's own Python file, which is no plugin and not installed."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError, UsageError, suggestion
from robench.registry.loader import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_MODULE = "robench_user_file"
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """Run a Python file and return a function of it. The files beside it can be imported, as if it were a program.

    Args:
        path: The file. It is the user's own code and may do anything.
        name: Of the function, or of a class.

    Raises:
        UsageError: If the file fails, or has no such function.
    """
    module = ModuleType(_MODULE)
    module.__file__ = str(path)
    with beside(path):
        # Where dataclasses and the like look up the module of what they decorate.
        sys.modules[_MODULE] = module
        try:
            # Not by the import system, which may take an older version of the file out of its cache.
            exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102
        except RobenchError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{path} cannot be loaded: {describe(error)}"
            raise UsageError(message) from error
    function = module.__dict__.get(name)
    if not callable(function):
        own = [key for key, value in module.__dict__.items() if callable(value) and not key.startswith("_")]
        message = f'{path} has no function "{name}"'
        raise UsageError(message, suggestion(name, own))
    return function  # type: ignore[no-any-return]


@contextmanager
def beside(path: Path) -> Iterator[None]:
    """Let a file import those beside it, and forget them afterwards: another folder may have others of these names."""
    folder, before = str(path.parent), set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(f"{folder}/"):
                del sys.modules[name]


def call_with(function: Callable[..., Any], arguments: Mapping[str, object], called: str) -> Any:  # noqa: ANN401
    """Call a function with those of some arguments that it takes.

    They go by name where the function has a parameter of one of these names, else by place if it requires that many;
    one that requires none is called without.

    Args:
        function: Any callable.
        arguments: By name, in the order of their places.
        called: What messages call the function.

    Raises:
        UsageError: If it takes something else.
    """
    parameters = inspect.signature(function).parameters.values()
    required = [item for item in parameters if item.default is item.empty and item.kind not in _COLLECTING]
    named = [item.name for item in parameters if item.name in arguments and item.kind is not item.POSITIONAL_ONLY]
    if all(item.name in named for item in required):
        return function(**{name: arguments[name] for name in named})
    if not named and len(required) == len(arguments) and all(item.kind is not item.KEYWORD_ONLY for item in required):
        return function(*arguments.values())
    message = f"{called} takes ({', '.join(item.name for item in required)})"
    raise UsageError(message, f"let it take ({', '.join(arguments)}), or nothing")
