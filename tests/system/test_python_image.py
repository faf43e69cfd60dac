"""The Python image on a real engine: what is installed, cached, kept and kept out."""

import base64
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import docker
import docker.errors
import pytest

from container_engine import Engine
from daeploy_lib.errors import BuildError
from daeploy_lib.runtimes.base import Artifact, Event, Instance
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.runtimes.readiness import wait_ready
from daeploy_lib.sources import PythonImage, open_source
from docker_versions import EVALUATES, REGISTRY, Versions, evaluate
from package_index import PACKAGE, PASSWORD, Index, serving_index, wheel

pytestmark = pytest.mark.docker

CACHED = " ---> Using cache"


@attrs.frozen
class Builds:
    """Builds directories on the engine, and remembers what was said."""

    versions: Versions
    folder: Path
    events: list[Event] = attrs.field(factory=list)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files into the directory; the service is there from the start."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )

    def build(self, image: PythonImage, version: str = "1.0.0") -> Artifact:
        """Build a version; ``events`` are those of this build."""
        self.events.clear()
        spec = self.versions.spec(version)
        source = open_source(self.folder, spec)
        runtime = DockerRuntime(self.versions.engine.url, python_image=image)
        return runtime.build(spec, source, self.events.append, registry=REGISTRY)

    def ready(self, image: PythonImage) -> Instance:
        """Build and start a version; return it when it answers."""
        spec, runtime = self.versions.spec(), self.versions.runtime
        instance = runtime.start(spec, self.build(image), registry=REGISTRY)
        return wait_ready(runtime, instance, spec)

    def run(self) -> list[str]:
        """Return the steps that were run and not taken from the cache."""
        texts = [event.text for event in self.events if event.text != CACHED]
        cached = {event.step for event in self.events if event.text == CACHED}
        steps = [text.partition(" : ")[2] for text in texts if " : " in text]
        numbered = enumerate((s for s in steps if s), start=1)
        return [step for number, step in numbered if number not in cached]

    @property
    def requirements(self) -> str:
        """Requirements that no build before had."""
        return f"{PACKAGE}  # {self.versions.project}\n"


@pytest.fixture
def builds(engine: Engine, project: str, tmp_path: Path) -> Builds:
    """A directory with a service, and the engine to build it on."""
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "service.py").write_text(EVALUATES)
    versions = Versions(engine, project, DockerRuntime(engine.url))
    return Builds(versions, folder)


@pytest.fixture(scope="module")
def index(engine: Engine) -> Iterator[Index]:
    """A package index with a password, at the host's address on the bridge."""
    with serving_index(address_for_builds(engine)) as index:
        yield index


def address_for_builds(engine: Engine) -> str:
    """Return an address of this machine that a build on the engine can ask."""
    [config] = engine.client.inspect_network("bridge")["IPAM"]["Config"]
    with socket.socket() as probe:
        try:
            probe.bind((config["Gateway"], 0))
        except OSError:
            # Podman has no bridge before the first container.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
                # Only asks for the route: nothing is sent.
                way_out.connect(("192.0.2.1", 9))
                return str(way_out.getsockname()[0])
        return str(config["Gateway"])


@pytest.fixture
def image(engine: Engine, index: Index) -> PythonImage:
    """The image that installs from that index."""
    return PythonImage(engine.base_image, index.options())


def secrets_of(image: PythonImage) -> list[bytes]:
    """Return each form in which the password could be somewhere."""
    configuration = image.build(NoFiles()).build_args["FTP_PROXY"]
    plain = base64.b64decode(configuration)
    # In the middle of a longer text base64 has three forms; without its edges.
    shifted = [base64.b64encode(b"x" * n + PASSWORD.encode())[4:-4] for n in range(3)]
    assert any(form in configuration.encode() for form in shifted)
    return [PASSWORD.encode(), configuration.encode(), plain, *shifted]


class NoFiles:
    """A context without any file."""

    def read(self, path: str) -> bytes | None:
        """Return None."""
        del path
        return None


@pytest.fixture
def new_images(engine: Engine) -> Callable[[], list[str]]:
    """What names the images made since, also those without a name."""

    def ids() -> set[str]:
        return {str(found["Id"]) for found in engine.client.images(all=True)}

    before = ids()
    return lambda: sorted(ids() - before)


def test_a_password_of_the_index_ends_nowhere(
    builds: Builds,
    image: PythonImage,
    index: Index,
    new_images: Callable[[], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It serves the installation, and is in no layer, history, event or log."""
    caplog.set_level(logging.DEBUG)
    builds.write({"requirements.txt": builds.requirements})
    instance = builds.ready(image)
    assert evaluate(instance, "__import__('daeploy_probe').ANSWER") == 42
    assert any(path.endswith(".whl") for path in index.asked)
    client, forms = builds.versions.client, secrets_of(image)
    details, histories = {}, []
    for image_id in new_images():
        # Other tests on the same engine may come and go.
        with contextlib.suppress(docker.errors.ImageNotFound):
            details[image_id] = client.inspect_image(image_id)
            histories.append(client.history(image_id))
    assert len(details) > 8
    texts = [
        json.dumps(details),
        json.dumps(histories),
        json.dumps(client.inspect_container(instance.id)),
        repr(builds.events),
        caplog.text,
    ]
    for number, text in enumerate(texts):
        assert [f for f in forms if f in text.encode()] == [], number
    # The layers of an image are those of its parent and one more.
    last = details.keys() - {found["Parent"] for found in details.values()}
    package = b"ANSWER = 42"
    founds = []
    for image_id in last:
        with contextlib.suppress(docker.errors.APIError):
            founds.append(found_in(client.get_image(image_id), [*forms, package]))
    assert founds.count({package}) >= 2, "the stage that installs, and the service"
    assert set.union(*founds) == {package}


def found_in(chunks: Iterator[bytes], forms: list[bytes]) -> set[bytes]:
    """Return the forms that occur in a stream."""
    found: set[bytes] = set()
    overlap, before = max(map(len, forms)), b""
    for chunk in chunks:
        window = before + chunk
        found.update(form for form in forms if form in window)
        before = window[-overlap:]
    return found


@pytest.mark.parametrize("fault", ["missing package", "wrong password"])
def test_a_failed_installation_does_not_tell(
    builds: Builds,
    image: PythonImage,
    index: Index,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """The reason that pip gives is in the error, and the password is not."""
    caplog.set_level(logging.DEBUG)
    wanted = "no-such-package" if fault == "missing package" else PACKAGE
    builds.write({"requirements.txt": f"{wanted}  # {builds.versions.project}\n"})
    if fault == "wrong password":
        image = attrs.evolve(image, pip_options=index.options(PASSWORD + "-wrong"))
    with pytest.raises(BuildError, match=wanted) as failed:
        builds.build(image)
    assert failed.value.exit_code == 1
    told = f"{failed.value}{failed.value!r}{builds.events}{caplog.text}".encode()
    assert [form for form in secrets_of(image) if form in told] == []
    builds.versions.assert_nothing_left()


def test_an_unchanged_directory_is_not_built_again(
    builds: Builds, image: PythonImage, index: Index
) -> None:
    """Under a new version only the labels are new, and the image ID."""
    builds.write({"requirements.txt": builds.requirements})
    first = builds.build(image)
    asked = len(index.asked)
    second = builds.build(image, "2.0.0")
    assert first.image != second.image
    assert first.source_digest == second.source_digest
    ran = {step.split()[0] for step in builds.run()}
    assert ran == {"FROM", "LABEL"}
    builds.write({"service.py": EVALUATES + "\n# changed\n"})
    third = builds.build(image, "3.0.0")
    assert third.source_digest != first.source_digest
    assert {step.split()[0] for step in builds.run()} >= {"COPY", "FROM", "LABEL"}
    assert not any(step.startswith("RUN") for step in builds.run())
    assert len(index.asked) == asked


BACKEND = """
import base64, hashlib, zipfile
from pathlib import Path

def build(folder, modules):
    info = "own-1.dist-info"
    files = {
        **modules,
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: own\\n"
        "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in files)
    name = "own-1-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return build(folder, {"own.py": Path("own.py").read_text()})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return build(folder, {"own.pth": str(Path.cwd())})
"""
PROJECT = {
    "pyproject.toml": '[project]\nname = "own"\nversion = "1"\n'
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": BACKEND,
    "own.py": "PLACE = __file__\n",
}
# Neither an index nor a network would answer there.
OFFLINE = {"index-url": "http://192.0.2.1:9/simple", "retries": "0", "timeout": "1"}


@pytest.mark.parametrize(
    ("requirements", "place"),
    [("-e .\n", "/app/own.py"), ("-r more/other.txt\n", "/app/own.py"), (None, "venv")],
    ids=["editable", "other file", "pyproject"],
)
def test_requirements_beside_the_code(
    builds: Builds, engine: Engine, requirements: str | None, place: str
) -> None:
    """Other files, editable installs and the project itself are found and stay."""
    builds.write(PROJECT)
    if requirements is not None:
        builds.write({"requirements.txt": requirements, "more/other.txt": "-e .\n"})
    instance = builds.ready(PythonImage(engine.base_image, OFFLINE))
    # -I: not from beside the script, where it is as well.
    code = "[sys.executable, '-I', '-c', 'import own; print(own.PLACE)']"
    found = evaluate(instance, f"subprocess.check_output({code}, text=True, cwd='/')")
    assert place in found


def test_a_wheel_beside_the_code(builds: Builds, engine: Engine) -> None:
    """A wheel of the directory is installed, over a link inside of it as well."""
    name = "wheels/local_probe-1.0-py3-none-any.whl"
    builds.write({name: wheel("local-probe", {"local_probe.py": "ANSWER = 7\n"})})
    builds.write({"requirements/base.txt": f"./{name}\n"})
    (builds.folder / "requirements.txt").symlink_to("requirements/base.txt")
    instance = builds.ready(PythonImage(engine.base_image, OFFLINE))
    assert evaluate(instance, "__import__('local_probe').ANSWER") == 7


def test_nothing_to_install_needs_no_index(builds: Builds, engine: Engine) -> None:
    """Without requirements pip does not run, with settings of tools only neither."""
    builds.write({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "# none\n"})
    builds.build(PythonImage(engine.base_image, OFFLINE))
    assert not any("pip install" in event.text for event in builds.events)


def test_what_the_service_finds(builds: Builds, engine: Engine) -> None:
    """Its own files are readable whatever their modes, and no more is writable."""
    builds.write({"model/weights.bin": b"\0weights"})
    (builds.folder / "model/weights.bin").chmod(0o600)
    (builds.folder / "model").chmod(0o700)
    instance = builds.ready(PythonImage(engine.base_image))
    found = evaluate(
        instance,
        "[Path('model/weights.bin').read_text(), os.getuid(), os.getgid(),"
        " os.getcwd(), sys.executable]",
    )
    assert found == ["\0weights", 10001, 10001, "/app", "/opt/venv/bin/python"]
    assert "Read-only" in evaluate(instance, "Path('x').write_text('')")
    assert evaluate(instance, "Path.home().joinpath('x').write_text('y')") == 1
    assert evaluate(instance, "os.environ['PATH']").startswith("/opt/venv/bin:/")


def test_an_odd_base(builds: Builds, engine: Engine) -> None:
    """A base may lack ``python``, and have a user, an entry point and a PATH."""
    name = f"daeploy-odd-base:{builds.versions.project}"
    builds.write(
        {
            "Dockerfile": f"FROM {engine.base_image}\n"
            "RUN rm -f /usr/bin/python /usr/local/bin/python\n"
            'USER nobody\nENTRYPOINT ["/bin/false"]\n'
            "ENV PATH=/odd:/usr/local/bin:/usr/bin:/bin\n"
        }
    )
    odd = builds.build(PythonImage())
    (builds.folder / "Dockerfile").unlink()
    client = builds.versions.client
    client.tag(odd.image, "daeploy-odd-base", builds.versions.project)
    try:
        instance = builds.ready(PythonImage(name))
        path = evaluate(instance, "os.environ['PATH']")
        assert path == "/opt/venv/bin:/odd:/usr/local/bin:/usr/bin:/bin"
        assert evaluate(instance, "os.getuid()") == 10001
    finally:
        for container in builds.versions.containers():
            client.remove_container(container["Id"], force=True)
        client.remove_image(name, force=True)


def test_a_base_that_is_not_there(builds: Builds) -> None:
    """The error names it, and where to name another."""
    with pytest.raises(BuildError, match="no-such-image:9") as failed:
        builds.build(PythonImage("no-such-registry.invalid/no-such-image:9"))
    assert "DAEPLOY_BASE_IMAGE" in str(failed.value)
    builds.versions.assert_nothing_left()
