"""The verbs: what a script, a notebook or an application does with versions."""

import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from daeploy_lib.domain.names import check_name
from daeploy_lib.domain.service import (
    Assignment,
    Leftover,
    LogLine,
    Service,
    Status,
)
from daeploy_lib.domain.spec import Hardening, Mount, Readiness, Resources, Spec
from daeploy_lib.errors import DaeployError
from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.gate import Gate
from daeploy_lib.lifecycle.assigning import assign, rollback
from daeploy_lib.lifecycle.deploying import deploy, unfailing
from daeploy_lib.lifecycle.evidence import evidence_of
from daeploy_lib.lifecycle.gating import assign_gated, check_gate
from daeploy_lib.lifecycle.killing import kill, kill_name
from daeploy_lib.lifecycle.listing import (
    find_record,
    list_services,
    running_instance,
    service_of,
)
from daeploy_lib.lifecycle.project import Project, open_project
from daeploy_lib.lifecycle.reporting import report_of
from daeploy_lib.lifecycle.sweeping import sweep
from daeploy_lib.lifecycle.watching import Watch
from daeploy_lib.registry.records import not_deployed
from daeploy_lib.registry.state import state_directory
from daeploy_lib.router.replay import Replayed, replay
from daeploy_lib.runtimes.base import BuildInput, Event, OnEvent, Runtime
from daeploy_lib.runtimes.docker import DockerRuntime
from daeploy_lib.show.progress import progress
from daeploy_lib.show.report import Report
from daeploy_lib.show.table import History, Leftovers, Services
from daeploy_lib.sources import Image, Source, open_source, takes_time, write_project

_log = logging.getLogger(__name__)


class Deployer:
    """
    Runs versions of services side by side, and says which one is main.

    The first version of a name is its main, later ones are its shadows. What
    is deployed outlives the script, and any process with the same *state* and
    *project* sees it. Nothing is contacted before the first verb that needs it.
    Verbs may be called from any thread.

    Args:
        runtime: What keeps versions running; by default the Docker engine that
            ``DOCKER_HOST`` or the current context names.
        project: Keeps independent sets apart, on one engine and in one state
            directory.
        state: The state directory; by default ``$DAEPLOY_STATE``, and without
            it the user's state directory.
        ephemeral: Kill what this Deployer deployed when it closes, also when
            that is because of an error.

    Raises:
        ValueError: If the project's name is not allowed.
        TypeError: If *runtime* is not a ``Runtime``.

    Example:
        >>> import tempfile
        >>> from daeploy_lib.testing import MemoryRuntime
        >>> folder = tempfile.mkdtemp()
        >>> deployer = Deployer(MemoryRuntime(), state=folder)
        >>> hello = deployer.init("hello", folder)
        >>> quiet = lambda event: None
        >>> deployer.deploy("hello", "1.0.0", hello, on_event=quiet).is_main
        True
        >>> deployer.deploy("hello", "2.0.0", hello, on_event=quiet).is_main
        False
        >>> deployer.assign("hello", "2.0.0", expected="1.0.0").version
        '2.0.0'
        >>> deployer.rollback("hello").version
        '1.0.0'
        >>> [(change.previous, change.version) for change in deployer.history("hello")]
        [(None, '1.0.0'), ('1.0.0', '2.0.0'), ('2.0.0', '1.0.0')]
        >>> [service.version for service in deployer.kill("hello")]
        ['2.0.0', '1.0.0']
    """

    def __init__(
        self,
        runtime: Runtime | None = None,
        *,
        project: str = "default",
        state: str | os.PathLike[str] | None = None,
        ephemeral: bool = False,
    ) -> None:
        self.project = check_name(project, "project")
        self.state = state_directory(state)
        _check_runtime(runtime)
        self._runtime: Runtime = DockerRuntime() if runtime is None else runtime
        self._is_ephemeral = ephemeral
        # For an ephemeral one, with the process that deployed them.
        self._deployed: list[tuple[str, str]] = []
        self._deployed_in = os.getpid()
        self._lock = threading.Lock()
        self._opened: Project | None = None
        self._watches: list[Watch] = []
        weakref.finalize(self, _stop, self._watches)

    def __repr__(self) -> str:
        return (
            f"<Deployer project={self.project!r} on {self._runtime.description}, "
            f"state in {self.state}>"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------ deploying

    def init(self, name: str, directory: str | os.PathLike[str] = ".") -> Path:
        """
        Write a small service that deploys as it is; return its directory.

        Args:
            name: The service's name, and the name of the new directory.
            directory: Where the new directory is made.

        Raises:
            ValueError: If the name is not allowed.
            FileExistsError: If the directory exists and is not empty.
        """
        return write_project(name, directory)

    def deploy(
        self,
        name: str,
        version: str,
        source: Source,
        *,
        port: int = 8000,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        mounts: Sequence[Mount] = (),
        resources: Resources = Resources(),  # noqa: B008 - a frozen value
        hardening: Hardening | None = None,
        readiness: Readiness = Readiness(),  # noqa: B008 - a frozen value
        on_event: OnEvent | None = None,
    ) -> Service:
        """
        Deploy a version: main if it is the first of its name, else a shadow.

        Returns when it answers. All or nothing: on any failure, Ctrl-C
        included, everything is as it was and the same version can be deployed
        again.

        Args:
            name: The service that clients call.
            version: The name of this variant.
            source: A directory: with a ``Dockerfile``, or with a
                ``service.py`` that serves HTTP on ``HOST`` and ``PORT``. Or a
                function, an ASGI application or a fitted estimator: see
                ``PythonObject``. Or an ``Image``, which runs as it is.
            port: The port that it listens on, 1 to 65535.
            environment: Environment variables to add.
            command: Words to run instead of the image's own command.
            mounts: Host paths that it is given.
            resources: What it may use.
            hardening: What it may not do; None: everything that a plain
                server does not need.
            readiness: When it counts as ready.
            on_event: Called with each event of the deployment as it happens;
                by default they are shown: in one display of a terminal or of a
                notebook, else as lines on standard error.

        Raises:
            ValueError, TypeError: If an argument is wrong; nothing happened.
            VersionExistsError: If the version is taken; nothing was built.
            RouteConflictError: If its route belongs to another service.
            SourceError: If the source is not what it should be.
            BuildError: If it does not build.
            StartError: If it does not start, or exits before it is ready.
            NotReadyError: If it does not answer in time.
            ServiceNotFoundError, VersionNotFoundError: If it was killed before
                this returned.
            StateError: If the state directory cannot be used.
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        spec = Spec(
            project=self.project,
            name=name,
            version=version,
            port=port,
            environment={} if environment is None else environment,
            command=command,
            mounts=mounts,
            resources=resources,
            hardening=Hardening() if hardening is None else hardening,
            readiness=readiness,
        )
        if on_event is not None and not callable(on_event):
            raise TypeError(f"on_event must be callable, not {on_event!r}.")
        with contextlib.ExitStack() as stack:
            show = on_event or stack.enter_context(progress(name, version))
            content = stack.enter_context(self._content(source, spec, show))
            service = deploy(self._open(), spec, content, show)
        self._remember(name, version)
        return service

    # -------------------------------------------------------------- looking

    def ls(self, name: str | None = None, version: str | None = None) -> Services:
        """
        Return all versions, or those of a name; prints as the table.

        Order: names alphabetical, versions in order of deployment. One call to
        the runtime, however many there are. A vanished one is ``missing``.

        Raises:
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        return Services(list_services(self._open(), name, version))

    def get(self, name: str, version: str | None = None) -> Service:
        """
        Return one version; without *version*, main.

        Raises:
            ServiceNotFoundError: If no version of the name is deployed.
            VersionNotFoundError: If this version is not.
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        project = self._open()
        record = find_record(project.registry.versions(), name, version)
        found = list_services(project, name, record.version)
        return found[0] if found else service_of(project, record, None)

    def inspect(self, name: str, version: str | None = None) -> Mapping[str, object]:
        """
        Return all that is known of one version; without *version*, of main.

        Keys: ``service`` (see ``Service``), ``spec`` (see ``deploy``, without
        environment values) and ``runtime`` (the runtime's own view: effective
        limits, hardening, labels, state). And what proves which content runs:
        ``source_digest`` (of the files, or of the image's manifest),
        ``source_origin`` (where they came from), ``image`` (its ID) and
        ``environment`` (the names of the variables that were given, sorted).

        Raises:
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed,
                or still being deployed.
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        project = self._open()
        records = project.registry.versions()
        record = find_record(records, name, version)
        deployed, spec = record.deployed, record.spec
        return {
            "service": self.get(name, record.version),
            "source_digest": deployed.source_digest,
            "source_origin": deployed.source_origin,
            "image": deployed.image,
            "environment": tuple(sorted(spec.environment)) if spec else (),
            "spec": spec,
            "runtime": project.runtime.details(running_instance(record, records)),
        }

    def logs(
        self,
        name: str,
        version: str | None = None,
        *,
        tail: int | None = 50,
        follow: bool = False,
        since: datetime | None = None,
    ) -> Iterator[LogLine]:
        """
        Yield lines of a version's output, oldest first; by default main's.

        Args:
            name: The service.
            version: The version; None: main.
            tail: How many of the last lines; None: all, 0: none.
            follow: Go on with new lines until the version ends.
            since: Only lines from this time on; without a zone it is local.

        Raises:
            ValueError: If *tail* is negative.
            TypeError: If *since* is not a ``datetime``.
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed,
                or still being deployed.
            DeployError: At the first line, if it is gone.
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        if tail is not None and tail < 0:
            raise ValueError(f"tail must be 0 or more, or None for all, not {tail!r}.")
        _check_since(since)
        records = self._open().registry.versions()
        record = find_record(records, name, version)
        return self._runtime.logs(
            running_instance(record, records),
            tail=tail,
            follow=follow,
            since=None if since is None else since.astimezone(),
        )

    # ------------------------------------------------------------ assigning

    def assign(
        self,
        name: str,
        version: str,
        *,
        gate: Gate | None = None,
        expected: str | None = None,
        force: bool = False,
    ) -> Service:
        """
        Make a version main, in one transaction; return it.

        A request that begins after this returned is answered by the new main,
        in every process; one in flight finishes on the version it began with.
        The old main stays, as a shadow. Assigning main itself changes nothing.

        A gate judges what was seen of the version since it and main are what they
        are, in all processes, before anything is changed. What it says is kept in
        the history. If another process assigns meanwhile, it judges again.

        Args:
            name: The service.
            version: The version that becomes main; it must be ready now.
            gate: What the version must have shown as a shadow; None: nothing.
            expected: The version that must be main until now.
            force: Assign all the same when the gate does not pass; the history
                then says ``forced``.

        Raises:
            TypeError: If *gate* is not a ``Gate``.
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
            GateNotPassedError: If the gate fails or is inconclusive; its
                ``verdict`` says why. Nothing was changed.
            NotReadyError: If it does not answer now.
            StaleAssignError: If main is not the *expected* version.

        Example:
            >>> import tempfile
            >>> from daeploy_lib import Gate, GateNotPassedError
            >>> from daeploy_lib.testing import MemoryRuntime
            >>> folder = tempfile.mkdtemp()
            >>> deployer = Deployer(MemoryRuntime(), state=folder)
            >>> hello = deployer.init("hello", folder)
            >>> for version in ("1.0.0", "2.0.0"):
            ...     _ = deployer.deploy("hello", version, hello, on_event=str)
            >>> try:
            ...     deployer.assign("hello", "2.0.0", gate=Gate(agreement=0.98))
            ... except GateNotPassedError as error:
            ...     print(error.verdict.result, error.verdict.exchanges)
            inconclusive 0
            >>> gate = Gate(agreement=0.98)
            >>> deployer.assign("hello", "2.0.0", gate=gate, force=True).version
            '2.0.0'
            >>> deployer.history("hello")[-1].forced
            True
            >>> _ = deployer.kill_all()
        """
        if gate is None:
            return assign(self._open(), name, version, expected=expected)
        check_gate(gate)
        return assign_gated(
            self._open(), name, version, gate, expected=expected, force=force
        )

    def report(self, name: str) -> Report:
        """
        Return how the answers of each shadow compare with main's; prints as a table.

        It holds what every router on this machine has seen since main became main and
        the shadow was deployed, to within two seconds.

        Args:
            name: The service.

        Raises:
            ServiceNotFoundError: If no version of the name is deployed.
            VersionNotFoundError: If it has no main yet.
            StateError: If the state directory cannot be used.

        Example:
            >>> import tempfile
            >>> from daeploy_lib.testing import MemoryRuntime
            >>> folder = tempfile.mkdtemp()
            >>> deployer = Deployer(MemoryRuntime(), state=folder)
            >>> hello = deployer.init("hello", folder)
            >>> for version in ("1.0.0", "2.0.0"):
            ...     _ = deployer.deploy("hello", version, hello, on_event=str)
            >>> report = deployer.report("hello")
            >>> report["2.0.0"].exchanges, report["2.0.0"].agreement.value
            (0, None)
            >>> _ = deployer.kill_all()
        """
        return report_of(evidence_of(self._open(), name))

    def replay(
        self,
        name: str,
        version: str,
        example: Example,
        *,
        headers: Iterable[tuple[str, str]] = (),
        timeout: float = 30.0,
    ) -> Replayed:
        """
        Send the request of a report's example to one version again.

        It goes to the version itself, past every router, and is no evidence.

        Args:
            name: The service.
            version: Which version; that may also be main, or one that came later.
            example: Of ``report(name)[version].examples``.
            headers: To send as well, such as an ``authorization``: secrets are
                never kept.
            timeout: Seconds to wait.

        Returns:
            Its answer, whatever the status; see ``Replayed``.

        Raises:
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
            ValueError: If the request is not known in full, for it is redacted or too
                long to be kept; or if a header or the timeout cannot be used.
            TimeoutError: If the version did not answer in time.
            ConnectionError: If it could not be reached, or broke off.
        """
        records = self._open().registry.versions()
        record = find_record(records, name, version)
        if not record.deployed.endpoints:
            raise not_deployed(record)
        address = record.deployed.endpoints[0]
        return replay(example, address, headers=headers, timeout=timeout)

    def watch(self, name: str, *, gate: Gate, interval: float = 5.0) -> Watch:
        """
        Follow a new main; return to the old one if the gate says it is worse.

        The old main is now a shadow and gets copies. The new one is judged by
        what was seen since it became main, as if the old one were main. When the
        gate fails, and only then, the old one is assigned again, once, with the
        verdict in the history. This returns at once; a thread of its own judges,
        and ends when main is changed by another hand or this Deployer is closed.

        Args:
            name: The service.
            gate: What the new main must show.
            interval: Seconds from one judgement to the next.

        Raises:
            TypeError: If *gate* is not a ``Gate``, or *interval* no number.
            ValueError: If *interval* is not more than 0.
            ServiceNotFoundError: If no version of the name is deployed.
            VersionNotFoundError: If none was main before, it was killed, or a
                watch has just returned to it.

        Example:
            >>> import tempfile
            >>> from daeploy_lib import Gate
            >>> from daeploy_lib.testing import MemoryRuntime
            >>> folder = tempfile.mkdtemp()
            >>> deployer = Deployer(MemoryRuntime(), state=folder)
            >>> hello = deployer.init("hello", folder)
            >>> for version in ("1.0.0", "2.0.0"):
            ...     _ = deployer.deploy("hello", version, hello, on_event=str)
            >>> _ = deployer.assign("hello", "2.0.0")
            >>> with deployer.watch("hello", gate=Gate(error_rate=0.02)) as watch:
            ...     print(next(iter(watch)).result)
            inconclusive
            >>> watch.rolled_back
            False
            >>> _ = deployer.kill_all()
        """
        opened = weakref.WeakMethod(self._open)
        watch = Watch(lambda: (open_ := opened()) and open_(), name, gate, interval)
        with self._lock:
            self._watches[:] = [one for one in self._watches if not one.is_over]
            self._watches.append(watch)
        watch.start()
        return watch

    def rollback(self, name: str) -> Service:
        """
        Assign the version that was main before this one; return it.

        It is itself a change of main: a second rollback undoes the first, and
        returns to the version that was rolled back from. To go further back,
        assign a version of ``history``.

        Raises:
            ServiceNotFoundError: If no version of the name is deployed.
            VersionNotFoundError: If none was main before, or it was killed.
            NotReadyError: If it does not answer now.
            StaleAssignError: If another process assigned meanwhile.
        """
        return rollback(self._open(), name)

    def history(self, name: str) -> Sequence[Assignment]:
        """
        Return every change of main of a service, oldest first; prints as a table.

        It is kept when the service is killed.

        Raises:
            ServiceNotFoundError: If nothing of that name was ever deployed.
        """
        return History(self._open().registry.history(name))

    # -------------------------------------------------------------- killing

    def kill(
        self,
        name: str,
        version: str | None = None,
        *,
        keep_image: bool = False,
        grace: float = 10.0,
    ) -> Services:
        """
        Remove a version, or every version of a name; return what was removed.

        It is unrouted first; requests in flight end, then it is asked to end.
        A whole name goes shadows first, main last. The status of what is
        returned is ``exited``.

        Args:
            name: The service.
            version: The version; None: all of them.
            keep_image: Keep the image that was built.
            grace: Seconds that requests in flight may take to end, and once
                more for the version itself. What is not over then is cut off.

        Raises:
            ValueError: If *grace* is negative or infinite.
            ServiceNotFoundError, VersionNotFoundError: If it is not deployed.
            MainProtectedError: If it is main and has shadows; nothing changed.
            RuntimeUnavailableError: If the runtime cannot be used; it is
                unrouted, and a repeated kill completes.
        """
        _check_grace(grace)
        project = self._open()
        if version is None:
            killed = kill_name(project, name, keep_image=keep_image, grace=grace)
        else:
            killed = [kill(project, name, version, keep_image=keep_image, grace=grace)]
        gone = (service_of(project, record, None) for record in killed)
        return Services(attrs.evolve(one, status=Status.exited) for one in gone)

    def kill_all(self, *, keep_image: bool = False, grace: float = 10.0) -> Services:
        """
        Remove every version of every service of this project; see ``kill``.

        Raises:
            ValueError: If *grace* is negative or infinite.
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        _check_grace(grace)
        names = dict.fromkeys(r.name for r in self._open().registry.versions())
        killed: list[Service] = []
        for name in names:
            # Another process may have killed it meanwhile.
            with contextlib.suppress(LookupError):
                killed += self.kill(name, keep_image=keep_image, grace=grace)
        return Services(killed)

    def cleanup(self, *, dry_run: bool = False) -> Sequence[Leftover]:
        """
        Remove what no version needs any more; return what that was, as a table.

        These are remains of deployments and kills that were cut short, and
        images that were kept. Nothing of another project is looked at.

        Args:
            dry_run: Only return it.

        Raises:
            RuntimeUnavailableError: If the runtime cannot be used.
        """
        return Leftovers(sweep(self._open(), dry_run=dry_run))

    def close(self) -> None:
        """
        Free the connections; if ephemeral, kill what was deployed here.

        Its watches end. Further use connects again. What cannot be killed is
        logged.
        """
        atexit.unregister(self.close)
        _stop(self._watches)
        try:
            deployed, self._deployed = self._deployed, []
            # A forked worker that ends is not the end of its parent.
            if deployed and self._deployed_in == os.getpid():
                self._kill_deployed(deployed)
        finally:
            self._runtime.close()

    @contextlib.contextmanager
    def _content(
        self, source: Source, spec: Spec, on_event: OnEvent
    ) -> Iterator[BuildInput | Image]:
        """Open a source for the block; an image the runtime fetches itself."""
        if isinstance(source, Image):
            yield source
            return
        if takes_time(source):
            # Found out again, for good, when the version is reserved.
            self._open().registry.check_free(spec)
        report = unfailing(on_event)
        context = open_source(source, spec, lambda text: report(Event("source", text)))
        with contextlib.closing(context):
            yield context

    def _remember(self, name: str, version: str) -> None:
        if not self._is_ephemeral:
            return
        if self._deployed_in != os.getpid():
            self._deployed, self._deployed_in = [], os.getpid()
        self._deployed.append((name, version))
        atexit.unregister(self.close)
        atexit.register(self.close)

    def _kill_deployed(self, deployed: Sequence[tuple[str, str]]) -> None:
        try:
            own = [
                (record.is_main, record.name, record.version)
                for record in self._open().registry.versions()
                if (record.name, record.version) in deployed
            ]
        except DaeployError as error:
            _log.warning("Did not kill %s: %s", deployed, error)
            return
        # A main goes after its shadows; False sorts before True.
        for _, name, version in sorted(own):
            try:
                self.kill(name, version)
            except LookupError:
                # Another process was faster.
                continue
            except DaeployError as error:
                _log.warning("Did not kill %s %s: %s", name, version, error)

    def _open(self) -> Project:
        with self._lock:
            opened, self._opened = self._opened, None
            # A project that cannot be opened, because its file was lost and what
            # runs cannot be asked for, is not kept: the next verb tries again.
            if opened is None or opened.registry.prepare():
                opened = open_project(self.project, self.state, self._runtime)
            self._opened = opened
            return opened


def _stop(watches: list[Watch]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            watches.pop().stop()


def _check_runtime(runtime: object) -> None:
    is_runtime = not isinstance(runtime, type) and all(
        callable(getattr(runtime, verb, None)) for verb in ("build", "start", "list")
    )
    if runtime is not None and not is_runtime:
        raise TypeError(
            f"runtime must be a Runtime, such as DockerRuntime(), not {runtime!r}. "
            f'The project is named with Deployer(project="…"), '
            f'the state directory with Deployer(state="…").'
        )


def _check_since(since: object) -> None:
    if since is not None and not isinstance(since, datetime):
        raise TypeError(
            f"since must be a datetime, such as datetime.now() - "
            f"timedelta(minutes=5), not {since!r}."
        )


def _check_grace(grace: float) -> None:
    if not 0 <= grace < float("inf"):
        raise ValueError(f"grace must be seconds, 0 or more, not {grace!r}.")
