"""The Python image as a value: what it accepts, what it shows, what it writes."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daeploy_lib.runtimes.docker.recipes import recipe_for
from daeploy_lib.sources import PythonImage
from daeploy_lib.sources.pip_configuration import pip_configuration
from runtime_contexts import Files

SECRET = "S3cret%Passw0rd"
INDEX = {"index-url": f"https://user:{SECRET}@host/simple"}
SIX = Files({"service.py": "", "requirements.txt": "six\n"})


def carried(image: PythonImage) -> str:
    """Return the configuration that the builder is handed."""
    return base64.b64decode(image.build(SIX).build_args["FTP_PROXY"]).decode()


def test_no_secret_is_shown() -> None:
    """Neither a repr nor a file of the context has what the options say."""
    image = PythonImage("base", INDEX, proxies={"HTTP_PROXY": f"http://u:{SECRET}@p"})
    build = image.build(SIX)
    hidden = base64.b64encode(carried(image).encode()).decode()
    assert SECRET in carried(image)
    for shown in (image, build, recipe_for(SIX, image)):
        assert SECRET not in repr(shown)
        assert hidden not in repr(shown)
    for content in build.files.values():
        assert SECRET.encode() not in content
        assert hidden.encode() not in content


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": "no image"},
        {"base": "FROM x\nRUN y"},
        {"base": ""},
        {"pip_options": {"Index-Url": SECRET}},
        {"pip_options": {"x\n[install]\ntarget": SECRET}},
        {"pip_options": {"index-url": f"https://{'x' * 100_000}"}},
        {"proxies": {"HTTP PROXY": SECRET}},
        {"ca_certificates": b"-----BEGIN PRIVATE KEY-----\n" + SECRET.encode()},
    ],
    ids=",".join,
)
def test_wrong_values(wrong: dict[str, object]) -> None:
    """They are refused where they are given, without being repeated."""
    with pytest.raises(ValueError, match=r".") as failed:
        PythonImage(**wrong)  # type: ignore[arg-type]
    assert SECRET not in str(failed.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": 3},
        {"pip_options": {"timeout": 5}},
        {"pip_options": {5: SECRET}},
        {"proxies": {"HTTP_PROXY": None}},
    ],
    ids=str,
)
def test_wrong_types(wrong: dict[str, object]) -> None:
    """They are refused where they are given, without being repeated."""
    with pytest.raises(TypeError) as failed:
        PythonImage(**wrong)  # type: ignore[arg-type]
    assert SECRET not in str(failed.value)


VALUES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
            lambda name: name != "cert"
        ),
        st.lists(VALUES.map(str.strip).filter(lambda v: v and v[0] not in "#;")),
        max_size=5,
    )
)
def test_pip_reads_what_was_given(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, list[str]]
) -> None:
    """Every value arrives whole, and none becomes another option or section."""
    given_options = {name: "\n".join(lines) for name, lines in options.items()}
    file = tmp_path_factory.mktemp("pip") / "pip.conf"
    file.write_text(carried(PythonImage("base", given_options)), "utf-8")
    # A folder without the machine's own configuration.
    found = pip_configuration({"HOME": "/nowhere", "PIP_CONFIG_FILE": str(file)})
    for name, value in given_options.items():
        assert found.get(name, "") == value


def test_certificates_serve_the_installation_only() -> None:
    """They are copied into the stage that installs, and only if something is."""
    image = PythonImage("base", ca_certificates=b"certificates")
    build = image.build(SIX)
    assert build.files["ca.pem"] == b"certificates"
    last_stage = build.files["Dockerfile"].decode().rpartition("FROM ")[2]
    assert "ca.pem" not in last_stage
    assert "cert = /tmp/daeploy/ca.pem" in carried(image)
    assert "ca.pem" not in image.build(Files({"service.py": ""})).files


def test_the_base_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the argument, else the variable, else the official one."""
    monkeypatch.setenv("DAEPLOY_BASE_IMAGE", "registry:5000/own/python@sha256:abc")
    assert PythonImage("base").base == "base"
    assert PythonImage().base == "registry:5000/own/python@sha256:abc"
    assert PythonImage.from_host().base == PythonImage().base
    monkeypatch.delenv("DAEPLOY_BASE_IMAGE")
    assert PythonImage().base.startswith("python:3.")
    monkeypatch.setenv("DAEPLOY_BASE_IMAGE", "two words")
    with pytest.raises(ValueError, match="DAEPLOY_BASE_IMAGE"):
        PythonImage()


def test_the_hosts_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """from_host() takes what pip would use here."""
    file = tmp_path / "pip.conf"
    file.write_text(f"[global]\nindex-url = {INDEX['index-url']}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    image = PythonImage.from_host("base")
    assert image.pip_options["index-url"] == INDEX["index-url"]
    assert SECRET not in repr(image)


def test_a_dockerfile_of_its_own_is_used_as_it_is() -> None:
    """Nothing is added to a context that says itself how it is built."""
    recipe = recipe_for(Files({"Dockerfile": "FROM x"}), PythonImage("base", INDEX))
    assert (recipe.dockerfile, recipe.under) == ("Dockerfile", "")
    assert not recipe.files
    assert not recipe.build_args
