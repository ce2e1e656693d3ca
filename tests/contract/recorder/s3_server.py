"""A real S3 server for tests: moto's, in an environment of its own (`python3 hack/bootstrap.py dev` makes it)."""

import http.client
import os
import signal
import subprocess
from pathlib import Path

from media_plane import ROOT, free_port, wait_for

SERVER = ROOT / ".venv-s3" / "bin" / "moto_server"
BUCKET = "recordings"


class S3Server:
    """In memory; `pause` makes it a server that takes connections and answers nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def url(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix.replace('_', '-')}"

    def start(self) -> None:
        """Start and make the bucket."""
        assert SERVER.exists(), "no S3 server: run python3 hack/bootstrap.py dev"
        with (self._folder / "s3.log").open("ab") as log:
            command = [str(SERVER), "-H", "127.0.0.1", "-p", str(self.port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.environment)
        wait_for(self._make_bucket)

    def pause(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(10)

    def _make_bucket(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("PUT", f"/{BUCKET}", headers={"Host": f"127.0.0.1:{self.port}"})
            return connection.getresponse().status == 200
        except OSError:
            return False
