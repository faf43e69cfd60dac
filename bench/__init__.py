"""Ratios against doing the same by hand, side by side in one run."""
