"""A report as a figure of Matplotlib, which is an extra: ``daeploy-lib[plot]``."""
