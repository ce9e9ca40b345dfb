"""Compiles as a debug build does, so that a library's own level shows; BARE_* come from outside."""

import os

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
prefix = os.environ["BARE_PREFIX"]
flags = os.environ["BARE_FLAGS"].split()
env.Replace(
    AR=f"{prefix}ar",
    AS=f"{prefix}gcc",
    CC=f"{prefix}gcc",
    CXX=f"{prefix}g++",
    RANLIB=f"{prefix}ranlib",
    ARFLAGS=["rcs"],
    PROGSUFFIX=".elf",
)
env.Append(
    CCFLAGS=[*flags, "-O0", "-g", "-ffunction-sections", "-fdata-sections"],
    CFLAGS=["-std=gnu11"],
    CXXFLAGS=["-std=gnu++14", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
    LINKFLAGS=[*flags, *os.environ["BARE_LINK"].split()],
)
env.Default(env.BuildProgram())
