"""What was seen of one request to main and to one shadow."""

import attrs

from daeploy_lib.compare.answer import Answer
from daeploy_lib.compare.comparison import Comparison
from daeploy_lib.evidence.latencies import Timing


@attrs.frozen
class Request:
    """
    What both versions were asked.

    Attributes:
        method: Of the request.
        path: Raw, below the service's segment, bytes as latin-1.
        query: Raw, without its question mark.
        headers: Names in lower case, and values.
        body: Its first bytes.
        body_bytes: Its whole length.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_bytes: int


Entries = tuple[tuple[str, str], ...]

Compared = tuple[float, int, int, float, float, float, float, Entries | None, bool]
"""
How most requests end: both answered, below 500, and were compared; neither fields
nor an example are kept. When, in seconds since 1970; main's status, the shadow's;
seconds until main began to answer, and until it ended; the same of the shadow; None
if they agree, else what differs, as ``Shape.entries``, and whether that is all.
"""


@attrs.frozen
class Sample:
    """
    How one request ended for one shadow.

    Attributes:
        outcome: One of the names of rule 21.
        at: When, in seconds since 1970.
        main_status: Of main's answer, if there was one.
        shadow_status: Of the shadow's.
        main: How long main took.
        shadow: How long the shadow took.
        comparison: Of both answers, if they were compared.
        request: To keep as an example; only where the pairing wants one.
        main_answer: To keep with it.
        shadow_answer: To keep with it.
    """

    outcome: str
    at: float
    main_status: int | None = None
    shadow_status: int | None = None
    main: Timing | None = None
    shadow: Timing | None = None
    comparison: Comparison | None = None
    request: Request | None = None
    main_answer: Answer | None = None
    shadow_answer: Answer | None = None
