"""The options that commands share, and running a command against the cluster that they choose."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from hack.cli.kube import Kube
from hack.cli.output import FORMATS

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster, and where in it."""

    kubeconfig: Path | None
    context: str | None
    namespace: str
    everywhere: bool


def target_options(command: Command) -> Command:
    """`-n`, `-A`, `--kubeconfig`, `--context`; the command gets one argument `target`."""

    def wrapped(
        kubeconfig: Path | None, context: str | None, namespace: str, everywhere: bool, **arguments: Any
    ) -> Any:
        if namespace and everywhere:
            raise click.UsageError("give -n or -A, not both.")
        return command(target=Target(kubeconfig, context, namespace, everywhere), **arguments)

    wrapped.__doc__, wrapped.__name__ = command.__doc__, command.__name__
    # click keeps the parameters of decorators that ran before on the function itself.
    wrapped.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    path = click.Path(path_type=Path)
    for option in (
        click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
        click.option(
            "--kubeconfig", type=path, help="Kubeconfig; default: KUBECONFIG, this checkout's, ~/.kube/config."
        ),
        click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="In all namespaces."),
        click.option("-n", "--namespace", default="", metavar="NAME", help="In this namespace."),
    ):
        option(wrapped)
    return wrapped  # type: ignore[return-value]


def output_option(*formats: str) -> Callable[[Command], Command]:
    """`-o`; all formats unless some are named."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats or FORMATS),
        default="text",
        show_default=True,
        help="How to print the result.",
    )


def timeout_option(seconds: float) -> Callable[[Command], Command]:
    """`--timeout`, in seconds."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait; exit code 4 when it was not enough.",
    )


def run_on(target: Target, work: Callable[[Kube], Awaitable[T]]) -> T:
    """Connect, do the work, disconnect."""
    import uvloop

    async def connected() -> T:
        async with await Kube.connect(target.kubeconfig, target.context) as kube:
            return await work(kube)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(connected())
