"""Nothing of this platform needs more than what every platform has."""

from platformio.public import PlatformBase


class EmulatedPlatform(PlatformBase):
    pass
