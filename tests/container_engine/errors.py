"""The one error of the harness."""


class EngineUnavailableError(Exception):
    """No container engine can be had here; the message says what to do about it."""
