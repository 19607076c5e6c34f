"""A flow that does nothing, to compare with: `python -m benchmarks.trivial` serves it."""

from prefect import flow, serve, task
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType


@task
def nothing() -> None:
    """Do nothing."""


@flow
def trivial() -> None:
    """Do nothing, in one task."""
    nothing()


def main() -> None:
    """Serve it until stopped."""
    from benchmarks.trivial import trivial as imported  # noqa: PLC0415 - by its module's name, not __main__

    serve(RunnerDeployment.from_flow(imported, "trivial", entrypoint_type=EntrypointType.MODULE_PATH))


if __name__ == "__main__":
    main()
