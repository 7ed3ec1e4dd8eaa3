"""Sources of settings in order of precedence. The first that says something about a key decides it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from robench.config.checks import known_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from robench.config.choices import Choices, Place

_KINDS: Mapping[str, str] = MappingProxyType(
    {"dataset": "dataset", "classifier": "classifier", "defenses": "defense", "attacks": "attack"}
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One source.

    Attributes:
        choices: What it asks for.
        place: What messages call its keys.
        indexed: Whether messages number the items of its lists.
    """

    choices: Choices
    place: Place
    indexed: bool = True


@dataclass(frozen=True, kw_only=True)
class Layers:
    """All sources, and the names that may be chosen.

    Attributes:
        layers: The strongest first.
        known: The names that there are, by kind.
        remark: What else may explain that a name is unknown.
    """

    layers: tuple[Layer, ...]
    known: Mapping[str, Collection[str]]
    remark: str

    def above(self, *weaker: Layer) -> Layers:
        """Return the same with further, weaker sources."""
        return replace(self, layers=self.layers + weaker)

    def value(self, key: str) -> Any:  # noqa: ANN401  # the field of Choices decides
        """Return the value under a key; None where all sources are silent."""
        return next((value for layer in self.layers if (value := getattr(layer.choices, key)) is not None), None)

    def place(self, key: str) -> str:
        """Return what messages call the key where it is decided; some source must say something about it."""
        return self._deciding(key).place(key)

    def name(self, key: str) -> str:
        """Return the name under a key.

        Raises:
            UsageError: If it is unknown.
        """
        layer = self._deciding(key)
        return self._known(getattr(layer.choices, key), layer.place(key), key)

    def names(self, key: str) -> tuple[str, ...]:
        """Return the names under a key, each once, in their order.

        Raises:
            UsageError: If one is unknown.
        """
        layer = self._deciding(key)
        place = layer.place(key)
        names: tuple[str, ...] = getattr(layer.choices, key)
        known = [
            self._known(name, f"{place}[{index}]" if layer.indexed else place, key) for index, name in enumerate(names)
        ]
        return tuple(dict.fromkeys(known))

    def _deciding(self, key: str) -> Layer:
        return next(layer for layer in self.layers if getattr(layer.choices, key) is not None)

    def _known(self, name: str, place: str, key: str) -> str:
        kind = _KINDS[key]
        return known_name(name, place, kind, self.known[kind], self.remark)
