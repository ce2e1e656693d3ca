"""The list of controllers, and the kinds they bring along."""

import contextlib
import time
from pathlib import Path

from hack.devcluster.client import ApiClient, Conflict
from hack.devcluster.controllers.base import Caches, Controller
from hack.devcluster.controllers.claims import ClaimController
from hack.devcluster.controllers.cronjob import CronJobController
from hack.devcluster.controllers.daemonset import DaemonSetController
from hack.devcluster.controllers.deployment import DeploymentController
from hack.devcluster.controllers.disruption import DisruptionController
from hack.devcluster.controllers.endpoints import EndpointsController
from hack.devcluster.controllers.hpa import AutoscalerController
from hack.devcluster.controllers.job import JobController
from hack.devcluster.controllers.rayservice import RayServiceController, ray_service_definition
from hack.devcluster.controllers.replicaset import ReplicaSetController
from hack.devcluster.controllers.statefulset import StatefulSetController
from hack.devcluster.events import EventRecorder
from hack.devcluster.resources import CONTROLLER_REVISIONS, CUSTOM_RESOURCE_DEFINITIONS

_PLAIN: tuple[type[Controller], ...] = (
    ReplicaSetController,
    DeploymentController,
    StatefulSetController,
    DaemonSetController,
    JobController,
    CronJobController,
    EndpointsController,
    DisruptionController,
    AutoscalerController,
    RayServiceController,
)


async def prepare(client: ApiClient) -> None:
    """Register the kinds that are no part of the API server. Raises ApiError."""
    with contextlib.suppress(Conflict):
        await client.create(CUSTOM_RESOURCE_DEFINITIONS, ray_service_definition())


def build(caches: Caches, events: EventRecorder, *, state_dir: Path) -> list[Controller]:
    """All controllers; their informers are then in `caches`."""
    caches.of(CONTROLLER_REVISIONS)
    found = [kind(caches, events) for kind in _PLAIN]
    return [*found, ClaimController(caches, events, time.time, folder=state_dir.resolve() / "claims")]
