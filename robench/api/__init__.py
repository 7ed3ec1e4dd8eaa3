"""What a plugin may import: hook markers, specs, contexts, records and errors.

Importing this package loads neither torch nor numpy; tensors and arrays appear in annotations only.
"""

from robench.api.ascent import Ascent, Direction, Keep, Loss, Trial
from robench.api.contexts import (
    AttackContext,
    DataContext,
    FitContext,
    ModelContext,
    NoParameters,
    References,
    SweepContext,
)
from robench.api.data import SPLIT_NAMES, Split, SplitName
from robench.api.hooks import hookimpl
from robench.api.randomness import ImageRandom
from robench.api.specs import AttackSpec, ClassifierSpec, DatasetSpec, DefenseSpec, Effort, Goal, Knowledge
from robench.api.target import NORMS, Budget, Candidate, Candidates, Norm, Target, Verdict
from robench.api.training import Network, Recipe
from robench.errors import DataError, MissingDataError, PluginError, RobenchError, UsageError

VERSION = "0.1"

__all__ = [
    "NORMS",
    "SPLIT_NAMES",
    "VERSION",
    "Ascent",
    "AttackContext",
    "AttackSpec",
    "Budget",
    "Candidate",
    "Candidates",
    "ClassifierSpec",
    "DataContext",
    "DataError",
    "DatasetSpec",
    "DefenseSpec",
    "Direction",
    "Effort",
    "FitContext",
    "Goal",
    "ImageRandom",
    "Keep",
    "Knowledge",
    "Loss",
    "MissingDataError",
    "ModelContext",
    "Network",
    "NoParameters",
    "Norm",
    "PluginError",
    "Recipe",
    "References",
    "RobenchError",
    "Split",
    "SplitName",
    "SweepContext",
    "Target",
    "Trial",
    "UsageError",
    "Verdict",
    "hookimpl",
]
