"""Workloads that the tests of this suite share."""

from typing import Any

from hack.devcluster.objects import Obj, meta, status_of
from hack.devcluster.resources import DEPLOYMENTS
from tests.support.cluster import Space, container, downward, script, template

METRICS = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("# TYPE queue gauge\\nqueue{part=\\"a\\"} %s\\nqueue{part=\\"b\\"} 1\\n" % os.environ["LOAD"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 9100), Handler).serve_forever()
"""
SLEEP = "import signal,sys,time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nwhile True: time.sleep(60)\n"


def sleeper(**fields: Any) -> Obj:
    return container("sleep", "100000", **fields)


def quick(app: str, *containers: Obj, **spec: Any) -> Obj:
    """A template whose pods stop at once."""
    return template(app, *containers, terminationGracePeriodSeconds=1, **spec)


def deployment(name: str, replicas: int, *containers: Obj, **spec: Any) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": quick(name, *containers),
            **spec,
        },
    }


def metrics_server(load: int) -> Obj:
    env = [*downward(), {"name": "LOAD", "value": str(load)}]
    return script(METRICS, env=env, ports=[{"name": "metrics", "containerPort": 9100}])


def rolled_out(found: Obj) -> bool:
    status, replicas = status_of(found), found["spec"]["replicas"]
    counts = [int(status.get(name) or 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    return status.get("observedGeneration") == meta(found)["generation"] and counts == [replicas] * 3


async def until_rolled_out(space: Space, name: str) -> Obj:
    return await space.until(DEPLOYMENTS, name, rolled_out, "rolled out")
