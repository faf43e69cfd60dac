"""What a directory says about its packages, in each of the ways it may say so."""

import pytest

from daeploy_lib.errors import SourceError
from daeploy_lib.sources.requirements import Packages, packages_of
from runtime_contexts import Files


def of(**files: str) -> Packages:
    """Return what is installed for files; ``_`` in a name stands for a dot."""
    return packages_of(Files({n.replace("_", "."): t for n, t in files.items()}))


@pytest.mark.parametrize(
    "line",
    [
        "fastapi",
        "fastapi>=0.115 ; python_version < '4'",
        "uvicorn[standard] == 0.31.*",
        "numpy ~=2.0 # a comment with ./path",
        "six==1.17 --hash=sha256:abc",
        "six==1.17 \\\n  --hash=sha256:abc \\\n  --hash=sha256:def",
        "thing @ https://host/thing-1.whl",
        "thing@git+https://host/thing.git@v1",
        "zipp",
        "--index-url https://host/simple",
        "-i https://host/simple\nsix",
        "--extra-index-url=https://host/simple",
        "--no-binary :all:\n--pre\n--trusted-host host\n--require-hashes",
        "\ufeffsix\r\nattrs\r\n",
    ],
)
def test_requirements_that_stand_for_themselves(line: str) -> None:
    """They are installed without the code beside them, so a change of it is not."""
    found = of(requirements_txt=line)
    assert found == Packages(requirements=line.encode())


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "-rother.txt",
        "--requirement=other.txt",
        "six\n-c constraints.txt",
        "--constraint constraints.txt",
        "-e .",
        "--editable ./lib",
        ".",
        ".[extra]",
        "./wheels/x-1-py3-none-any.whl",
        "wheels/x-1-py3-none-any.whl",
        "x-1-py3-none-any.whl",
        "x-1.0.tar.gz ; python_version > '3'",
        "lib/",
        "/app/lib",
        "file:./lib",
        "x @ file:///app/lib",
        "x @ ./lib",
        "-f wheels",
        "--find-links=wheels",
        "six \\\n-r other.txt",
        "${PACKAGE}",
        "???",
    ],
)
def test_requirements_that_need_what_lies_beside_them(line: str) -> None:
    """Whatever names another file, or is not understood, is installed in place."""
    found = of(requirements_txt=line)
    assert found == Packages(in_content="-r requirements.txt")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n   # at all\n", "\ufeff"])
def test_requirements_without_a_requirement(text: str) -> None:
    """Nothing is installed, so no network is needed."""
    assert of(requirements_txt=text) == Packages()
    assert of(pyproject_toml="[tool.ruff]\n") == Packages()
    assert of(service_py="") == Packages()


def test_an_application_of_a_pyproject() -> None:
    """Without a build system the dependencies are installed and nothing is built."""
    project = '[project]\nname = "x"\ndependencies = ["six>=1", "attrs;\\npython>3"]\n'
    assert of(pyproject_toml=project) == Packages(b"six>=1\nattrs; python>3\n")
    assert of(pyproject_toml='[project]\nname = "x"\n') == Packages()


@pytest.mark.parametrize(
    "more", ['[build-system]\nrequires = ["hatchling"]\n', 'dynamic = ["dependencies"]']
)
def test_a_package_of_a_pyproject(more: str) -> None:
    """A project that says how it is built is installed after its dependencies."""
    project = f'[project]\nname = "x"\n{more}'
    assert of(pyproject_toml=project) == Packages(None, ".")


def test_requirements_come_before_a_pyproject() -> None:
    """With both it is requirements.txt that says what the service needs."""
    found = of(requirements_txt="six\n", pyproject_toml="not toml")
    assert found == Packages(b"six\n")


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'project = "x"',
        '[project]\ndependencies = "six"',
        "[project]\ndependencies = [1]",
    ],
)
def test_a_pyproject_that_cannot_be_read(text: str) -> None:
    """The error says which file and why."""
    with pytest.raises(SourceError, match=r"pyproject\.toml cannot be read") as failed:
        of(pyproject_toml=text)
    assert failed.value.stage == "source"
