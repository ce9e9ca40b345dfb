"""The SCons of this Python."""

from SCons.Script.Main import main

main()
