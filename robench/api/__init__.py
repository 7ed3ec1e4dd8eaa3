"""What a plugin may import: hook markers, specs, contexts, records and errors.

Importing this package loads neither torch nor numpy; tensors and arrays appear in annotations only.
"""

from robench.api.ascent import Ascent, Keep, Loss
from robench.api.contexts import AttackContext, DataContext, FitContext, ModelContext, NoParameters, SweepContext
from robench.api.data import SPLIT_NAMES, Split, SplitName
from robench.api.hooks import hookimpl
from robench.api.randomness import ImageRandom
from robench.api.specs import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec, Knowledge
from robench.api.target import Budget, Target, Verdict
from robench.api.training import Network, Recipe
from robench.errors import DataError, PluginError, RobenchError, UsageError

VERSION = "0.1"

__all__ = [
    "SPLIT_NAMES",
    "VERSION",
    "Ascent",
    "AttackContext",
    "AttackSpec",
    "Budget",
    "ClassifierSpec",
    "DataContext",
    "DataError",
    "DatasetSpec",
    "DefenseSpec",
    "FitContext",
    "ImageRandom",
    "Keep",
    "Knowledge",
    "Loss",
    "ModelContext",
    "Network",
    "NoParameters",
    "PluginError",
    "Recipe",
    "RobenchError",
    "Split",
    "SplitName",
    "SweepContext",
    "Target",
    "UsageError",
    "Verdict",
    "hookimpl",
]
