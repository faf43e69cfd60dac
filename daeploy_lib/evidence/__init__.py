"""
What was seen of a shadow, and whether it is enough to make it main. Pure.

>>> totals = Totals()
>>> for score in range(1500):
...     totals.add(
...         "match",
...         main_status=200,
...         shadow_status=200,
...         main=Timing(0.010, 0.012),
...         shadow=Timing(0.008, 0.009),
...     )
>>> print(Gate().judge(totals).result)
pass
"""

from daeploy_lib.evidence.gate import Gate
from daeploy_lib.evidence.histogram import Histogram
from daeploy_lib.evidence.intervals import Interval
from daeploy_lib.evidence.latencies import Timing
from daeploy_lib.evidence.noise import Weighed, excused, weigh
from daeploy_lib.evidence.totals import Totals
from daeploy_lib.evidence.verdict import Condition, Result, Verdict

__all__ = [
    "Condition",
    "Gate",
    "Histogram",
    "Interval",
    "Result",
    "Timing",
    "Totals",
    "Verdict",
    "Weighed",
    "excused",
    "weigh",
]
