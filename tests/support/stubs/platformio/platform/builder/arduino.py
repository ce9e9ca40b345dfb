"""The framework: the core of the Arduino platform beside, where the tests have copied it."""

import os

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = os.environ["BARE_CORE"]
env.Append(CPPPATH=[core])
env.Prepend(LIBS=[env.BuildLibrary(os.path.join("$BUILD_DIR", "FrameworkArduino"), core)])
