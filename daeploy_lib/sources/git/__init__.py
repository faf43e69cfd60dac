"""A commit of a git repository as a source: fetched, recorded and vetted."""

from daeploy_lib.sources.git.opening import open_git
from daeploy_lib.sources.git.source import Git

__all__ = ["Git", "open_git"]
