"""What a plugin must get right before anything of it enters the catalog."""

from __future__ import annotations

import dataclasses
import inspect
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from robench.api import NORMS, AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec
from robench.api.records import CLEAN
from robench.errors import PluginError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pluggy

Kind = Literal["dataset", "classifier", "defense", "attack"]
Spec = DatasetSpec | ClassifierSpec[Any] | DefenseSpec[Any] | AttackSpec[Any]

SPEC_TYPES: Mapping[Kind, type[Spec]] = MappingProxyType(
    {"dataset": DatasetSpec, "classifier": ClassifierSpec, "defense": DefenseSpec, "attack": AttackSpec}
)

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
    """Refuse a spec that could not be looked up or configured.

    Args:
        kind: What the hook that offered it is for.
        spec: What the hook offered.

    Returns:
        The spec itself.

    Raises:
        PluginError: If it is of another type, its name is malformed or reserved, its parameters are not a frozen
            dataclass with a default for every field, or it is an attack without a form or a norm.
    """
    if not isinstance(spec, SPEC_TYPES[kind]):
        message = f"{hook_name(kind)} offered {type(spec).__name__} instead of {SPEC_TYPES[kind].__name__}"
        raise PluginError(message)
    if not _is_kebab_case(spec.name):
        message = f"{kind} name {spec.name!r} is malformed"
        raise PluginError(message, 'use kebab-case, such as "my-name2"')
    if spec.name == CLEAN:
        message = f'{kind} name "{CLEAN}" is reserved for images that are not attacked'
        raise PluginError(message)
    if not isinstance(spec, DatasetSpec):
        _check_parameters(f'{kind} "{spec.name}"', spec.parameters)
    if isinstance(spec, AttackSpec):
        _check_attack(spec)
    return spec


def _check_attack(spec: AttackSpec[Any]) -> None:
    """Raise ``PluginError`` unless the attack can run in some form and some norm."""
    if spec.run is None and spec.sweep is None and spec.minimal is None:
        message = f'attack "{spec.name}" has no function that attacks'
        raise PluginError(message, "give it run, sweep or minimal")
    if spec.minimal is not None and (spec.run is not None or spec.sweep is not None):
        message = f'attack "{spec.name}" looks for the closest image and has another form as well'
        raise PluginError(message, "minimal stands alone: one run of it answers for every epsilon")
    if not spec.norms or not set(spec.norms) <= set(NORMS):
        message = f'the norms of attack "{spec.name}" are {spec.norms!r}'
        raise PluginError(message, f"name some of {', '.join(NORMS)}")


def _is_kebab_case(name: object) -> bool:
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
