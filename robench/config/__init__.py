"""benchmarks.toml, environment and flags, resolved into frozen, validated requests."""

from robench.config.epsilons import parse_epsilons
from robench.config.file import Config, load_config
from robench.config.location import ConfigSource, find_config, packaged_text
from robench.config.parameters import build_parameters, canonical
from robench.config.request import Overrides, PathSettings, RunRequest, resolve_paths, resolve_run

__all__ = [
    "Config",
    "ConfigSource",
    "Overrides",
    "PathSettings",
    "RunRequest",
    "build_parameters",
    "canonical",
    "find_config",
    "load_config",
    "packaged_text",
    "parse_epsilons",
    "resolve_paths",
    "resolve_run",
]
