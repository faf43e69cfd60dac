"""The engine's build messages as events, an image, or a failure. Pure."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from daeploy_lib.errors import BuildError
from daeploy_lib.runtimes.base import Event

# How many lines of output an error carries.
LAST_LINES = 50

# "Step 2/9 : RUN …"; Podman writes STEP and no space.
_STEP = re.compile(r"step (\d+)/(\d+) ?: ?(.*)", re.IGNORECASE | re.DOTALL)
# The first words of a step's command, up to where the engine would quote them: of
# RUN without that, of others with it.
_WORDS = re.compile(r"(?:run (?:--\S+ )*)?([^'\"\\]{1,40})", re.IGNORECASE)
_RUNNING_IN = re.compile(r" ---> Running in ([0-9a-f]{12,64})")
# The builder's own bookkeeping: ids that nobody asked for.
_NOISE = re.compile(
    r" ---> (Running in )?[0-9a-f]{12,64}$"
    r"|Removing intermediate container [0-9a-f]"
    # Podman's.
    r"|--> [0-9a-f]|COMMIT|[0-9a-f]{64}$"
)
# How pip says what went wrong, and how many lines of that, and how much of each, a
# message takes: the list of the versions that there are can be long.
_ERROR = re.compile(r"ERROR: (.{,300})")
_ERRORS = 3
# A password in an address, which pip hides in most of its own.
_PASSWORD = re.compile(r"(?<=//)[^/\s@]+@")
# Colours: what a step writes to standard error comes in red.
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class BuildMessages:
    """
    Reads the messages of one build, in order.

    Attributes:
        image: Id of the image, once there is one.
        containers: Ids of the containers that steps ran in.
        unborn: Words of the command in the container that the engine is about to
            make for a step; "" while there is none such.
    """

    def __init__(self) -> None:
        self.image: str | None = None
        self.containers: list[str] = []
        self.unborn = ""
        self._failure: Mapping[str, Any] | None = None
        self._instruction = ""
        self._step: int | None = None
        self._steps: int | None = None
        self._partial = ""
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._errors: deque[str] = deque(maxlen=_ERRORS)

    @property
    def is_over(self) -> bool:
        """Whether the engine has said how it ended."""
        return self.image is not None or self._failure is not None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines of output, oldest first."""
        partial = (self._partial,) if self._partial.strip() else ()
        return (*self._last, *partial)[-LAST_LINES:]

    def read(self, message: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the events that one message completes."""
        if "errorDetail" in message or "error" in message:
            detail = message.get("errorDetail") or {"message": message.get("error")}
            self._failure = detail
        elif isinstance(message.get("aux"), Mapping) and "ID" in message["aux"]:
            self.image = str(message["aux"]["ID"])
        elif "stream" in message:
            yield from self._read_text(str(message["stream"]))
        elif "status" in message and not message.get("progressDetail"):
            # The base image is pulled: its state, without the bytes so far.
            words = (message.get("id"), message["status"])
            yield self._event(" ".join(str(word) for word in words if word))

    def failure(self, name: str, version: str) -> BuildError | None:
        """Return why the build failed; None if the engine has reported no failure."""
        if self._failure is None:
            return None
        code = self._failure.get("code")
        words = str(self._failure.get("message") or "without a reason").strip()
        exit_code = code if isinstance(code, int) else _exit_code(words)
        if exit_code is not None and self._errors:
            # The engine only repeats the command.
            words = f"{' '.join(self._errors)} Exit code {exit_code}."
        return build_error(
            words,
            name,
            version,
            exit_code=exit_code,
            lines=self.last_lines,
            instruction=self._instruction,
        )

    def _read_text(self, text: str) -> Iterator[Event]:
        step = _STEP.match(text)
        if step is not None:
            self._step, self._steps = int(step[1]), int(step[2])
            self._instruction = step[3].strip()
            self._errors.clear()
            words = _WORDS.match(self._instruction)
            self.unborn = words[1].strip() if words else ""
        elif text.startswith(" ---> "):
            self.unborn = ""
            if running := _RUNNING_IN.match(text):
                self.containers.append(running[1])
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            # A progress bar rewrites its line: what it ended as counts.
            plain = _COLOUR.sub("", line).rstrip("\r").rpartition("\r")[2].rstrip()
            if plain and not _NOISE.match(plain):
                self._last.append(plain)
                if error := _ERROR.match(plain):
                    self._errors.append(_sentence(error[1]))
                yield self._event(plain)

    def _event(self, text: str) -> Event:
        return Event("build", text, self._step, self._steps)


def _sentence(words: str) -> str:
    text = _PASSWORD.sub("****@", words)
    return text if text.endswith((".", ":")) else f"{text}."


def build_error(
    words: str,
    name: str,
    version: str,
    *,
    exit_code: int | None = None,
    lines: tuple[str, ...] = (),
    instruction: str = "",
) -> BuildError:
    """Return the error for what the engine said, with what there is to do."""
    return BuildError(
        f"The image cannot be built: {words}{_remedy(words, instruction)}",
        name,
        version,
        "build",
        exit_code,
        log_lines=lines,
    )


def _exit_code(words: str) -> int | None:
    match = re.search(r"(?:non-zero code:|exit status) (\d+)", words)
    return int(match[1]) if match else None


def _remedy(words: str, instruction: str) -> str:
    if "BuildKit" in words or "unknown flag: mount" in words:
        return (
            ". This Dockerfile needs BuildKit, which is not used here: write it "
            "without --mount, --chmod, --link and here-documents."
        )
    base = instruction.split()
    if base and base[0].upper() == "FROM":
        image = base[1] if len(base) > 1 else ""
        return (
            f". The engine has no base image {image} and cannot pull it. Without a "
            f"Dockerfile, set DAEPLOY_BASE_IMAGE or PythonImage(base=…) to an image "
            f"that it has; with one, change its FROM, or load or pull the image first."
        )
    return ""
