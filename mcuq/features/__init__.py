"""Features of sound: recipes, and their twins in Python, to train on what the firmware computes.

import mcuq.features as features

made = features.recipe("mlperf_kws")
x = features.features_real(samples, made)   # int16 (S,) or (N, S) -> (frames, 10) of each
"""

from mcuq.features.mel import Mel
from mcuq.features.recipe import RECIPES, Features
from mcuq.features.table import from_table, recipe
from mcuq.features.twin import features_float, features_int, features_real

__all__ = [
    "RECIPES",
    "Features",
    "Mel",
    "features_float",
    "features_int",
    "features_real",
    "from_table",
    "recipe",
]
