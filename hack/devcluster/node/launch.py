"""From a container's spec to what is executed: argv, environment, working directory, mounts.

Pure but for folder checks.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.devcluster.images.table import LocalImage
from hack.devcluster.node.environment import ConfigError, Sources, container_environment
from hack.devcluster.node.expansion import expand_all
from hack.devcluster.node.mounts import PathRewriter
from hack.devcluster.node.volumes import mount_table
from hack.devcluster.objects import Obj, name_of, spec_of

HOST_PATHS = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
"""Variables of an image that name folders of this machine; a checkout below /tmp survives a pod that mounts /tmp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """All that a start, an exec or a probe of one container needs."""

    argv: list[str]
    environment: dict[str, str]
    folder: Path
    rewriter: PathRewriter
    stop_signal: int
    termination: Path
    """Stands for terminationMessagePath."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the agent adds to any container."""

    inherited: Mapping[str, str]
    services: Mapping[str, str]
    marker: str
    address: str
    kubeconfig: Path | None
    root: Path
    """The pod's private folder."""


def container_marker(pod_uid: str, container: str) -> str:
    """`NAME=value` that every process of one container carries."""
    return f"HAAT_CONTAINER={pod_uid}/{container}"


def plan_launch(
    pod: Obj,
    container: Obj,
    *,
    image: LocalImage,
    volumes: Mapping[str, Path],
    sources: Sources,
    around: Surroundings,
) -> LaunchPlan:
    """Raises ConfigError, MountError, CommandError."""
    private = around.root / "containers" / str(container["name"])
    base = {**around.inherited, **image.environment, "HOSTNAME": name_of(pod), **around.services}
    base["PATH"] = ":".join([*image.path, around.inherited.get("PATH", "/usr/local/bin:/usr/bin:/bin")])
    environment = container_environment(pod, container, base=base, sources=sources)
    mounts = mount_table(container, volumes, environment)
    for path in image.volumes:
        if not any(path == mount or path.startswith(mount + "/") for mount in mounts):
            mounts[path] = str(private / "image-volumes" / path.strip("/").replace("/", "_"))
            Path(mounts[path]).mkdir(parents=True, exist_ok=True)
    private.mkdir(parents=True, exist_ok=True)
    termination = private / "termination-log"
    termination.write_bytes(b"")
    mounts.setdefault(container.get("terminationMessagePath") or "/dev/termination-log", str(termination))
    rewriter = PathRewriter(mounts)
    command = [rewriter.text(word) for word in expand_all(container.get("command") or [], environment)]
    args = [rewriter.text(word) for word in expand_all(container.get("args") or [], environment)]
    kept = {*HOST_PATHS, *around.inherited}
    environment = {
        key: value if key in kept and base.get(key) == value else rewriter.text(value)
        for key, value in environment.items()
    }
    for key, value in image.address_environment.items():
        environment.setdefault(key, value.format(address=around.address))
    _add_own(environment, pod, container, around, private)
    folder = _working_folder(container, image, rewriter, private)
    return LaunchPlan(
        argv=image.resolve(command, args, around.address),
        environment=environment,
        folder=folder,
        rewriter=rewriter,
        stop_signal=image.stop_signal,
        termination=termination,
    )


def check_executable(plan: LaunchPlan) -> None:
    """Raises ConfigError when the command is not there, so that the pod says so instead of exiting with 127."""
    program = plan.argv[0]
    found = (
        Path(plan.folder, program).is_file() if "/" in program else shutil.which(program, path=plan.environment["PATH"])
    )
    if not found:
        raise ConfigError(f'exec: "{program}": executable file not found in $PATH')


def _add_own(environment: dict[str, str], pod: Obj, container: Obj, around: Surroundings, private: Path) -> None:
    scratch = private / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    environment.setdefault("HOME", str(private))
    environment.setdefault("TMPDIR", str(scratch))
    if around.kubeconfig is not None:
        environment.setdefault("KUBECONFIG", str(around.kubeconfig))
    environment["HAAT_POD_ADDRESS"] = around.address
    for marker in (around.marker, container_marker(str(pod["metadata"]["uid"]), str(container["name"]))):
        name, _, value = marker.partition("=")
        environment[name] = value


def _working_folder(container: Obj, image: LocalImage, rewriter: PathRewriter, private: Path) -> Path:
    wanted = container.get("workingDir") or image.folder
    if wanted:
        folder = Path(rewriter.path(wanted))
        if folder.is_dir():
            return folder
    folder = private / "work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def links_enabled(pod: Obj) -> bool:
    return spec_of(pod).get("enableServiceLinks") is not False
