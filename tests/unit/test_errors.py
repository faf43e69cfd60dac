"""The error tree: shape, pickling, messages, and that all of it is public."""

import inspect
import pickle

import pytest

import daeploy_lib
from daeploy_lib import errors
from daeploy_lib.errors import (
    BuildError,
    DaeployError,
    DeployError,
    GateNotPassedError,
    MainProtectedError,
    NotReadyError,
    RegistryError,
    RouteConflictError,
    RuntimeUnavailableError,
    ServiceNotFoundError,
    SourceError,
    StaleAssignError,
    StartError,
    StateError,
    VersionExistsError,
    VersionNotFoundError,
)

# As in the contract, section 6: every class below its bases.
TREE = {
    DaeployError: (Exception,),
    RegistryError: (DaeployError,),
    ServiceNotFoundError: (RegistryError, LookupError),
    VersionNotFoundError: (RegistryError, LookupError),
    VersionExistsError: (RegistryError,),
    RouteConflictError: (RegistryError,),
    MainProtectedError: (RegistryError,),
    StaleAssignError: (RegistryError,),
    GateNotPassedError: (RegistryError,),
    DeployError: (DaeployError,),
    RuntimeUnavailableError: (DeployError,),
    SourceError: (DeployError,),
    BuildError: (DeployError,),
    StartError: (DeployError,),
    NotReadyError: (DeployError, TimeoutError),
    StateError: (DaeployError,),
}

_DEPLOY = ("It failed. Look.", "hello", "1.0.0", "start", 137, True, ("one", "two"))
EXAMPLES: list[DaeployError] = [
    ServiceNotFoundError("hello", ("other",)),
    VersionNotFoundError("hello", "1.0.0", ("2.0.0",), "is still being removed"),
    VersionExistsError("hello", "1.0.0"),
    RouteConflictError("hello", "1.0.0", "hello_1.0.0", "service x"),
    MainProtectedError("hello", "1.0.0", ("2.0.0",)),
    StaleAssignError("hello", "1.0.0", "2.0.0", None),
    GateNotPassedError("hello", "1.0.0", "Too few requests."),
    RuntimeUnavailableError(*_DEPLOY, "unix:///nowhere", "permission"),
    *(c(*_DEPLOY) for c in (DeployError, SourceError, BuildError, StartError)),
    NotReadyError(*_DEPLOY),
    StateError("/state/registry.sqlite", "It is damaged. Move it away."),
]


def test_the_tree_is_that_of_the_contract() -> None:
    """Every class has exactly the bases of the contract, and there is no other."""
    defined = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }
    assert defined == set(TREE)
    for kind, bases in TREE.items():
        assert kind.__bases__ == bases


def test_every_class_is_public() -> None:
    """Users import all of them from the package itself."""
    names = {kind.__name__ for kind in TREE}
    assert names <= set(daeploy_lib.__all__)
    assert all(getattr(daeploy_lib, name) is getattr(errors, name) for name in names)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_errors_survive_pickling(error: DaeployError) -> None:
    """Type, text and every attribute come back, also from another process."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
        assert again.args == error.args


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_messages_name_what_is_concerned(error: DaeployError) -> None:
    """Name and version stand in the message of every error that has them."""
    message = str(error)
    assert message.endswith((".", "two"))
    for attribute in ("name", "version", "path"):
        assert getattr(error, attribute, "") in message


REMEDIES = {
    ServiceNotFoundError: "Deployed services: other. Name one of these, or deploy",
    VersionNotFoundError: "Deployed versions: 2.0.0. Name one of these, or deploy",
    VersionExistsError: "Deploy under another version, or kill that one first",
    RouteConflictError: "/hello_1.0.0 is taken by service x. Choose another name",
    MainProtectedError: "shadows (2.0.0); nothing was changed. Assign another",
    StaleAssignError: "expected to be '2.0.0' but is None. Look again",
    GateNotPassedError: "Too few requests. Use force=True",
    StateError: "It is damaged. Move it away.",
}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_messages_end_with_observed_values_and_a_remedy(error: DaeployError) -> None:
    """What was seen, then what to do about it."""
    remedy = REMEDIES.get(type(error), "It failed. Look.\nIts last lines of output:")
    assert remedy in str(error)


def test_messages_without_anything_known_still_have_a_remedy() -> None:
    """With nothing deployed the remedy is to deploy."""
    assert str(ServiceNotFoundError("hello")) == (
        "No service 'hello' is deployed. Deployed services: none. Deploy it first."
    )
    assert str(VersionNotFoundError("hello", "1")) == (
        "Version '1' of 'hello' is not deployed. Deployed versions: none. "
        "Deploy it first."
    )
    assert str(DeployError("No engine.")) == "No engine."


@pytest.mark.parametrize(
    "error",
    [
        VersionExistsError("hello", "1", "is being deployed", "process 7"),
        VersionNotFoundError("hello", "1", (), "is being deployed", "process 7"),
    ],
)
def test_a_version_that_a_process_works_on_is_waited_for(error: DaeployError) -> None:
    """It cannot be killed, and deploying it again is refused until that has ended."""
    text = str(error)
    assert text.startswith("Version '1' of 'hello' is being deployed by process 7. ")
    assert text.endswith(
        "Wait for that process, or end it: a repeated deploy then takes the version "
        "over, and cleanup() removes what is left of it."
    )


def test_a_deploy_error_tells_programs_what_people_read() -> None:
    """Stage, exit code, OOM flag and last lines are attributes."""
    error = NotReadyError(*_DEPLOY)
    assert (error.stage, error.exit_code, error.oom_killed) == ("start", 137, True)
    assert error.log_lines == ("one", "two")
    assert str(error) == (
        "hello 1.0.0: It failed. Look.\nIts last lines of output:\n  one\n  two"
    )


@pytest.mark.parametrize(
    ("caught", "raised"),
    [
        (LookupError, ServiceNotFoundError("hello")),
        (LookupError, VersionNotFoundError("hello", "1")),
        (TimeoutError, NotReadyError("late")),
    ],
)
def test_python_names_catch_ours(caught: type[Exception], raised: DaeployError) -> None:
    """Whoever knows only Python's own classes catches ours with them."""
    with pytest.raises(caught):
        raise raised


def test_errors_compare_by_identity_and_can_be_annotated() -> None:
    """They behave as exceptions do: hashable, with notes and causes."""
    one, other = ServiceNotFoundError("hello"), ServiceNotFoundError("hello")
    assert one != other
    assert len({one, other}) == 2
    one.add_note("seen in a test")
    one.__cause__ = ValueError("why")
    assert one.__notes__ == ["seen in a test"]
