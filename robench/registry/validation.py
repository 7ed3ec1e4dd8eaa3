"""What a plugin must get right before anything of it enters the catalog: its hooks, names and parameters."""

from __future__ import annotations

import dataclasses
import inspect
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from robench.api import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec
from robench.api.records import CLEAN, COMPOSITES
from robench.errors import PluginError, suggestion
from robench.registry.fields import check_attack, check_classifier, check_dataset, check_defense

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pluggy

Kind = Literal["dataset", "classifier", "defense", "attack"]
Spec = DatasetSpec | ClassifierSpec[Any] | DefenseSpec[Any] | AttackSpec[Any]

SPEC_TYPES: Mapping[Kind, type[Spec]] = MappingProxyType(
    {"dataset": DatasetSpec, "classifier": ClassifierSpec, "defense": DefenseSpec, "attack": AttackSpec}
)

RESERVED = (CLEAN, *COMPOSITES)
"""Names under which robench itself records results."""

_HOOK_PREFIX = "robench_"
_KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def hook_name(kind: Kind) -> str:
    """Return the name of the hook that offers this kind."""
    return f"{_HOOK_PREFIX}{kind}s"


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse functions that look like hooks and would never be called.

    Args:
        manager: Knows the hook specifications, and ``plugin``.
        plugin: The object that the entry point names.

    Raises:
        PluginError: If a function ``robench_*`` is no known hook or is not marked, or if there is no hook at all.
    """
    hooks = [hook_name(kind) for kind in SPEC_TYPES]
    for name in dir(plugin):
        if not name.startswith(_HOOK_PREFIX) or not inspect.isroutine(getattr(plugin, name)):
            continue
        options = manager.parse_hookimpl_opts(plugin, name)
        hook = (options["specname"] if options else None) or name
        if hook not in hooks:
            message = f'unknown hook "{hook}"'
            raise PluginError(message, suggestion(hook, hooks))
        if options is None:
            message = f'the hook "{name}" is not marked'
            raise PluginError(message, "decorate it with @robench.api.hookimpl")
    manager.check_pending()
    if not manager.get_hookcallers(plugin):
        message = "there is no hook in it"
        raise PluginError(message, f"implement one of {', '.join(hooks)}")


def check_spec(kind: Kind, spec: object) -> Spec:
    """Refuse a spec that could not be looked up, configured or used.

    Args:
        kind: What the hook that offered it is for.
        spec: What the hook offered.

    Returns:
        The spec itself.

    Raises:
        PluginError: If it is of another type, its name is malformed or reserved, its parameters are not a frozen
            dataclass with a default for every field, or another field is not what it must be.
    """
    if not isinstance(spec, SPEC_TYPES[kind]):
        message = f"{hook_name(kind)} offered {type(spec).__name__} instead of {SPEC_TYPES[kind].__name__}"
        raise PluginError(message)
    if not is_kebab_case(spec.name):
        message = f"{kind} name {spec.name!r} is malformed"
        raise PluginError(message, 'use kebab-case, such as "my-name2"')
    if spec.name in RESERVED:
        message = f'{kind} name "{spec.name}" is reserved for what robench records under it'
        raise PluginError(message, "take another name")
    owner = f'{kind} "{spec.name}"'
    if not isinstance(spec, DatasetSpec):
        _check_parameters(owner, spec.parameters)
    match spec:
        case DatasetSpec():
            check_dataset(owner, spec)
        case ClassifierSpec():
            check_classifier(owner, spec)
        case DefenseSpec():
            check_defense(owner, spec)
        case AttackSpec():
            check_attack(owner, spec)
    return spec


def is_kebab_case(name: object) -> bool:
    """Say whether a name is lower-case words and digits, joined by hyphens."""
    return isinstance(name, str) and _KEBAB_CASE.fullmatch(name) is not None


def _check_parameters(owner: str, parameters: object) -> None:
    """Raise ``PluginError`` unless instances can be made from any subset of the fields."""
    if not isinstance(parameters, type) or not dataclasses.is_dataclass(parameters):
        message = f"the parameters of {owner} are {parameters!r}"
        raise PluginError(message, "give a frozen dataclass; NoParameters where there are none")
    if not parameters.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # no public way to ask
        message = f"the parameters class {parameters.__name__} of {owner} is not frozen"
        raise PluginError(message, "declare it with @dataclass(frozen=True, kw_only=True)")
    missing = dataclasses.MISSING
    for field in dataclasses.fields(parameters):
        if field.init and field.default is missing and field.default_factory is missing:
            message = f'the parameter "{field.name}" of {owner} has no default'
            raise PluginError(message)
    try:
        parameters()
    except Exception as error:
        message = f"the defaults of {parameters.__name__} of {owner} are refused by itself: {error!r}"
        raise PluginError(message) from error
