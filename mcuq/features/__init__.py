"""Features of sound, and of other sensors: tables, and their twins in Python, to train on.

import mcuq.features as features

made = features.recipe("mlperf_kws")
x = features.features_real(samples, made)   # int16 (S,) or (N, S) -> (frames, 10) of each

made = features.statistics_of({"statistics": ["mean", "rms"], "frame": 64, "channels": 3})
x = features.statistics_real(samples, made)   # int16 (S, 3) -> (windows, 6)
"""

from mcuq.features.mel import Mel
from mcuq.features.recipe import RECIPES, Features
from mcuq.features.statistics import Statistics, statistics_float, statistics_int, statistics_real
from mcuq.features.statistics import from_table as statistics_of
from mcuq.features.table import described, from_table, recipe
from mcuq.features.twin import features_float, features_int, features_real

__all__ = [
    "RECIPES",
    "Features",
    "Mel",
    "Statistics",
    "described",
    "features_float",
    "features_int",
    "features_real",
    "from_table",
    "recipe",
    "statistics_float",
    "statistics_int",
    "statistics_of",
    "statistics_real",
]
