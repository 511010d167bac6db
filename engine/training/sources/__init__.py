"""Where training songs come from beside the groove book: what registries hold, read where it is installed.

Each module reads one source, tells where it lies, what it may be used for and what of it is held out. Nothing of a
source is in this package; a source that is not installed raises `SourceMissing`, and the build goes on without it.
"""

from engine.training.sources.source import Origin, SourceMissing

__all__ = ["Origin", "SourceMissing"]
