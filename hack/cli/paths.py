"""Where things lie in a checkout. HAAT_STATE_DIR moves the running platform's state elsewhere."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ.get("HAAT_STATE_DIR") or ROOT / ".haat")
CLUSTER_STATE = STATE / "cluster"
KUBECONFIG = STATE / "kubeconfig"
ENDPOINTS = STATE / "endpoints.json"
LOGS = STATE / "logs"
SAMPLES = ROOT / "hack" / "samples"
CHARTS = ROOT / "charts"
WEB = ROOT / "workloads" / "web"
