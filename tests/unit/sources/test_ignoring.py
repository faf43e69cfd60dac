"""What a .dockerignore leaves out: the same as Docker does, and never a secret."""

import json
from pathlib import Path

import pytest
from docker.utils.build import PatternMatcher
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.sources.ignoring import Ignoring
from daeploy_lib.sources.kept_out import is_kept_out, is_named

# What `docker build` 28.2 sent of a directory with these files, and nothing but the
# .dockerignore changed: which files it left out, or null where it refused.
RECORDED = json.loads(Path(__file__).with_name("docker_contexts.json").read_text())

COMPONENTS = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "[ab]", "[a-b]"])
# docker-py looks at one directory above a path only, which "**" needs more of, and
# does not know "[^a]".
PATTERNS = st.lists(COMPONENTS, min_size=1, max_size=3).map("/".join)
LINES = st.lists(st.tuples(st.sampled_from(["", "!"]), PATTERNS).map("".join))
PATHS = st.lists(
    st.sampled_from(["a", "b", "ab", "aa", "c"]), min_size=1, max_size=4
).map("/".join)


@pytest.mark.parametrize("text", RECORDED["left out"], ids=ascii)
def test_like_docker_build(text: str) -> None:
    """The same files stay out, and the same lines are refused."""
    expected = RECORDED["left out"][text]
    lines = [
        line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")
    ]
    if expected is None:
        with pytest.raises(ValueError, match="invalid"):
            Ignoring(lines)
        return
    ignoring = Ignoring(lines)
    assert [path for path in RECORDED["files"] if ignoring.is_out(path)] == expected


@given(LINES, PATHS)
def test_like_docker_py(lines: list[str], path: str) -> None:
    """The engine's Python client agrees, where it can be compared."""
    theirs = PatternMatcher(list(lines)).matches(path)  # type: ignore[arg-type]
    assert Ignoring(lines).is_out(path) == theirs


@given(LINES, PATHS)
def test_nothing_is_overlooked_below_a_directory(lines: list[str], path: str) -> None:
    """A directory is not entered only where nothing inside could come back."""
    ignoring = Ignoring(lines)
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    is_entered = all(
        not ignoring.is_out(directory) or ignoring.may_bring_back_below(directory)
        for directory in above
    )
    assert is_entered or ignoring.is_out(path)


@given(st.text(alphabet="ab*?[]^-\\/!# .ä", max_size=12), PATHS)
def test_any_line_is_read_or_refused(line: str, path: str) -> None:
    """No line whatever ends in another error than the one that names it."""
    try:
        ignoring = Ignoring([line])
    except ValueError as error:
        assert str(error).startswith("invalid ")  # noqa: PT017
    else:
        assert ignoring.is_out(path) in (True, False)


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.production", ".env.europe", ".envrc", "id_ed25519", "id_rsa"),
        *("tls.key", "store.p12", ".netrc", ".pypirc", ".git-credentials", ".ssh"),
        *(".aws", ".kube", ".git", ".venv", "__pycache__", "service.pyc"),
        *(".ENV", "TLS.KEY", "Id_rsa"),
    ],
)
def test_names_that_stay_out(name: str) -> None:
    """Secrets, version control and caches stay out by their usual names."""
    assert is_kept_out(name)


@pytest.mark.parametrize(
    "name",
    [
        *(".env.example", ".env.sample", "env", "environment", "id_rsa.pub"),
        *("key", "keys.py", "monkey", "service.py", ".gitignore", ".dockerignore"),
        *("ca.pem", "ca.crt", "node_modules", "build", "dist", "Dockerfile"),
    ],
)
def test_names_that_do_not(name: str) -> None:
    """What a service may well need is not taken for a secret."""
    assert not is_kept_out(name)


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("!.env", ".env", True),
        ("!.env", "app/.env", False),
        ("!**/.env", "app/.env", True),
        ("!app/*.key", "app/tls.key", True),
        ("!app/tls.key", "app/tls.key", True),
        ("!app", "app/tls.key", False),
        ("!app/**", "app/tls.key", False),
        ("!**", ".env", False),
        ("!*", ".env", False),
        ("!.*", ".env", False),
        ("!**/*", "app/.git", False),
        (".env", ".env", False),
    ],
)
def test_only_a_name_brings_a_secret_back(line: str, path: str, expected: bool) -> None:
    """What brings back everything does not bring back a key."""
    assert is_named(path, Ignoring([line])) is expected
