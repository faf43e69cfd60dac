"""``python -m daeploy_lib.cli``: the same as ``daeploy``."""

from daeploy_lib.cli.entry import main

if __name__ == "__main__":
    main()
