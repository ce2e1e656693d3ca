"""Where things lie in a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".haat"
CLUSTER_STATE = STATE / "cluster"
KUBECONFIG = STATE / "kubeconfig"
ENDPOINTS = STATE / "endpoints.json"
LOGS = STATE / "logs"
SAMPLES = ROOT / "hack" / "samples"
CHARTS = ROOT / "charts"
WEB = ROOT / "workloads" / "web"
