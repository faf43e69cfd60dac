"""Routes: addresses of one service, and which version is main."""

import pytest

from daeploy_lib.domain.route import Route

ONE = "http://127.0.0.1:9001"
TWO = "http://127.0.0.1:9002"


def test_shadows_are_the_others_in_order_of_deployment() -> None:
    """Main is not among the shadows; the order is that of the addresses."""
    route = Route({"3": ONE, "1": TWO, "2": ONE}, main="1")
    assert route.shadows == ("3", "2")
    assert Route({"1": ONE}).shadows == ("1",)


def test_a_route_does_not_follow_its_argument() -> None:
    """Changing the mapping afterwards changes nothing, nor can the route's."""
    addresses = {"1": ONE}
    route = Route(addresses, main="1")
    addresses["2"] = TWO
    assert dict(route.addresses) == {"1": ONE}
    with pytest.raises(TypeError):
        route.addresses["2"] = TWO  # type: ignore[index]


@pytest.mark.parametrize(
    "address",
    [
        ONE,
        "https://model.internal",
        "http://[::1]:80",
        "http://h:1/base/path",
        "http://daeploy.default.hello.1.0.0_gpu:8000",
    ],
)
def test_usable_addresses_are_accepted(address: str) -> None:
    """Host, port and path are free; both schemes work."""
    assert Route({"1": address}).addresses["1"] == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:9001",
        "ftp://h",
        "http://",
        "http://:80",
        "http:///path",
        "http://h:0",
        "http://h:65536",
        "http://h:port",
        "http://h?",
        "http://h/?a=1",
        "http://h/#",
        "http://h/#f",
        "http://user@h",
        "http://@h",
        "http://:@h",
        "http://h h",
        "http://h\n",
        "http://h\\@x",
        "http://hé",
        "http://[::1",
    ],
)
def test_other_addresses_are_refused_with_what_is_allowed(address: str) -> None:
    """An address that is not absolute and plain is a ValueError."""
    with pytest.raises(ValueError, match="Write http://host:port"):
        Route({"1": address})


def test_a_password_in_an_address_is_not_shown() -> None:
    """The refusal leaves out what stands before the host."""
    with pytest.raises(ValueError, match="Invalid address 'h:80'") as caught:
        Route({"1": "http://me:hunter2@h:80"})
    assert "hunter2" not in str(caught.value)


def test_main_must_have_an_address() -> None:
    """A main without an address is refused, with the versions given."""
    with pytest.raises(ValueError, match=r"Main '3' has no address.*given: 1, 2"):
        Route({"1": ONE, "2": TWO}, main="3")


def test_wrong_types_are_type_errors() -> None:
    """An address that is no text, and no mapping at all."""
    with pytest.raises(TypeError, match="is a string, not bytes"):
        Route({"1": b"http://h"})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="mapping from versions to addresses"):
        Route([("1", ONE)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Invalid version"):
        Route({"1_0": ONE})
