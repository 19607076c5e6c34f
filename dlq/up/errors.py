"""Why `dlq up` does not start, or ends."""

from dlq.errors import DlqError


class UpRunningError(DlqError):
    """Another `dlq up` uses this home, or is still being stopped."""

    exit_status = 3
    advice = "Use that one, stop it first, or set DLQ_HOME to another folder."


class PortInUseError(DlqError):
    """A port is in use by another program."""

    exit_status = 3


class ServiceFailedError(DlqError):
    """A program of `dlq up` keeps ending."""

    advice = "Its log says why; everything else was stopped."


class PrefectApiError(DlqError):
    """The Prefect server did not do what it was asked for."""

    advice = "See the server's log."
