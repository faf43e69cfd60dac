"""An archive as the source of a version: read member by member, never extracted."""

from daeploy_lib.sources.archive.archive import ENDINGS, Archive, open_archive

__all__ = ["ENDINGS", "Archive", "open_archive"]
