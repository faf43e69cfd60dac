"""The router's tests once more, with a transport of httpx instead of our own."""

from typing import Any

import httpx
import pytest

from daeploy_lib import ShadowRouter

# What httpx, and httpcore under it, cannot express. By the test's name.
_ITS_OWN_CONNECTIONS = "which connection is used again is httpcore's affair"
_HALF_DUPLEX = "httpcore reads no answer before it has sent the whole request"
_ONCE = "nothing is sent a second time"
_A_TASK_EACH = "a request is a task"
_UNKNOWN_REACH = "whether main accepts is not known before the copies begin"
_H11 = "h11 decides what an answer is"
NOT_EXPRESSED = {
    "test_connections_are_reused": _ITS_OWN_CONNECTIONS,
    "test_surplus_bytes_never_reach_the_next_request": _ITS_OWN_CONNECTIONS,
    "test_connections_that_a_version_gives_up_are_not_reused": _ITS_OWN_CONNECTIONS,
    "test_a_body_beyond_its_length_is_cut": _ITS_OWN_CONNECTIONS,
    "test_a_body_of_another_length_is_aborted": "it has not been sent at all by then",
    "test_a_body_that_is_there_goes_out_with_its_head": "h11 sends them apart",
    "test_an_answer_before_the_upload_ends_uses_up_the_connection": _HALF_DUPLEX,
    "test_a_version_may_answer_while_it_reads": _HALF_DUPLEX,
    "test_an_idempotent_request_is_retried_once": _ONCE,
    "test_a_retry_is_not_retried": _ONCE,
    "test_a_bad_answer_becomes_502": _H11,
    "test_a_hung_shadow_costs_no_task_and_ends": _A_TASK_EACH,
    "test_a_shadow_that_does_not_accept_times_out": _A_TASK_EACH,
    "test_no_copy_goes_out_if_main_cannot_be_reached": _UNKNOWN_REACH,
}


class RouterOverHttpx(ShadowRouter):
    """A router whose requests go through httpx; closes that with itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        limits = httpx.Limits(max_connections=None)
        self._own = httpx.AsyncHTTPTransport(limits=limits)
        super().__init__(*arguments, transport=self._own, **options)

    async def aclose(self, *, drain: float = 10.0) -> None:
        """Close both."""
        await super().aclose(drain=drain)
        await self._own.aclose()


def carry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the router of a test's module use what the fixture's parameter says."""
    if request.param == "httpx":
        reason = NOT_EXPRESSED.get(request.node.originalname)
        if reason is not None:
            pytest.skip(reason)
        monkeypatch.setattr(request.module, "ShadowRouter", RouterOverHttpx)
