"""What the fields of a spec must be, so that a mistake is named where it was made and not in the middle of a run."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

from robench.api import NORMS, SPLIT_NAMES, Effort, Goal, Knowledge
from robench.errors import PluginError, suggestion

if TYPE_CHECKING:
    from robench.api import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec

_FORMS = ("run", "sweep", "minimal")
_DIMENSIONS = 3
_FEWEST_CLASSES = 2


def check_dataset(owner: str, spec: DatasetSpec) -> None:
    """Refuse a data set whose shape, classes or sizes cannot be.

    Args:
        owner: Kind and name, for the message.
        spec: The data set.

    Raises:
        PluginError: If a field is not what it must be.
    """
    _check_texts(owner, spec)
    _check_functions(owner, spec, required=("load",))
    # As objects: what a plugin really gives is not what the annotations say.
    shape: object = spec.shape
    classes: object = spec.classes
    sizes: object = spec.sizes
    if not isinstance(shape, tuple) or len(shape) != _DIMENSIONS or not all(_is_count(number) for number in shape):
        raise _refused(owner, "shape", shape, "give channels, height and width, such as (1, 28, 28)")
    if not _are_different_names(classes) or len(classes) < _FEWEST_CLASSES:
        raise _refused(owner, "classes", classes, "give a tuple of two or more different names")
    if not isinstance(sizes, Mapping) or set(sizes) != set(SPLIT_NAMES) or not all(map(_is_count, sizes.values())):
        raise _refused(owner, "sizes", sizes, f"give the number of images of each of {', '.join(SPLIT_NAMES)}")


def check_classifier(owner: str, spec: ClassifierSpec[Any]) -> None:
    """Refuse a classifier that could not be built.

    Args:
        owner: Kind and name, for the message.
        spec: The classifier.

    Raises:
        PluginError: If a field is not what it must be.
    """
    _check_texts(owner, spec)
    _check_functions(owner, spec, optional=("network", "module"))
    if (spec.network is None) == (spec.module is None):
        message = f"{owner} has {'neither' if spec.network is None else 'both'} of network and module"
        raise PluginError(message, "give network for one that robench trains, module for one that comes trained")


def check_defense(owner: str, spec: DefenseSpec[Any]) -> None:
    """Refuse a defense that could not be built.

    Args:
        owner: Kind and name, for the message.
        spec: The defense.

    Raises:
        PluginError: If a field is not what it must be.
    """
    _check_texts(owner, spec)
    _check_functions(owner, spec, required=("build",), optional=("networks", "fit"))
    for name in ("rejecting", "stochastic", "selecting", "differentiable"):
        if not isinstance(getattr(spec, name), bool):
            raise _refused(owner, name, getattr(spec, name), "give True or False")


def check_attack(owner: str, spec: AttackSpec[Any]) -> None:
    """Refuse an attack that could not be run, or that says of itself what robench does not understand.

    Args:
        owner: Kind and name, for the message.
        spec: The attack. Its parameters have been checked.

    Raises:
        PluginError: If a field is not what it must be.
    """
    _check_texts(owner, spec)
    _check_functions(owner, spec, optional=(*_FORMS, "suits"))
    forms = [name for name in _FORMS if getattr(spec, name) is not None]
    if not forms:
        message = f"{owner} has no form"
        raise PluginError(message, f"give one of {', '.join(_FORMS)}")
    if "minimal" in forms and len(forms) > 1:
        message = f"{owner} has the forms {', '.join(forms)}"
        raise PluginError(message, "an attack with `minimal` has no other form; offer two attacks")
    _check_one_of(owner, "knowledge", spec.knowledge, get_args(Knowledge))
    _check_one_of(owner, "goal", spec.goal, get_args(Goal))
    _check_one_of(owner, "effort", spec.effort, (*get_args(Effort), None))
    norms: object = spec.norms
    if not _are_different_names(norms) or not norms or not set(norms) <= set(NORMS):
        raise _refused(owner, "norms", norms, f"give a tuple of one or more of {', '.join(NORMS)}")
    cost: object = spec.cost
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 < cost < math.inf:
        raise _refused(owner, "cost", cost, "give a positive number of passes")
    requires: object = spec.requires
    if not isinstance(requires, Mapping) or not all(
        isinstance(text, str) for pair in requires.items() for text in pair
    ):
        raise _refused(owner, "requires", requires, "map names of modules to what to install for them")
    _check_presets(owner, spec)


def _check_presets(owner: str, spec: AttackSpec[Any]) -> None:
    presets: object = spec.presets
    if not isinstance(presets, Mapping):
        raise _refused(owner, "presets", presets, "map efforts to parameters")
    known = [field.name for field in dataclasses.fields(spec.parameters) if field.init]
    for effort, preset in presets.items():
        place = f"presets of {effort}"
        _check_one_of(owner, "an effort in presets", effort, get_args(Effort))
        if not isinstance(preset, Mapping):
            raise _refused(owner, place, preset, "map names of parameters to values")
        for name in preset:
            if name not in known:
                message = f'{owner}: the {place} set "{name}", which is no parameter'
                raise PluginError(message, suggestion(str(name), known))
        try:
            spec.parameters(**preset)
        except Exception as error:
            message = f"{owner}: the {place} are refused by {spec.parameters.__name__}: {error!r}"
            raise PluginError(message) from error


def _check_texts(owner: str, spec: object) -> None:
    for name in ("summary", "source"):
        if not isinstance(getattr(spec, name), str):
            raise _refused(owner, name, getattr(spec, name), "give a line of text")


def _check_functions(
    owner: str, spec: object, *, required: Collection[str] = (), optional: Collection[str] = ()
) -> None:
    for name in (*required, *optional):
        value = getattr(spec, name)
        if not callable(value) and (value is not None or name in required):
            raise _refused(owner, name, value, "give a function")


def _check_one_of(owner: str, name: str, value: object, known: Collection[object]) -> None:

    if not isinstance(value, str | None) or value not in known:
        raise _refused(owner, name, value, f"give one of {', '.join(map(str, known))}")


def _are_different_names(values: object) -> TypeGuard[tuple[str, ...]]:
    return (
        isinstance(values, tuple)
        and all(isinstance(value, str) for value in values)
        and len(set(values)) == len(values)
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _refused(owner: str, name: str, value: object, mend: str) -> PluginError:
    return PluginError(f"{owner}: {name} is {value!r}", mend)
