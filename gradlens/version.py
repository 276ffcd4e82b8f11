"""The version, alone in a file that imports nothing."""

VERSION = "0.2.0"
