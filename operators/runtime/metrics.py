"""What the operators count; names follow the alert rules of the chart."""

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("haat_reconcile", "Reconciles by kind and result.", ["kind", "result"])
RECONCILE_SECONDS = Histogram(
    "haat_reconcile_seconds", "Time of one reconcile.", ["kind"], buckets=(0.002, 0.005, 0.02, 0.05, 0.1, 0.25, 1, 5)
)
QUEUE_DEPTH = Gauge("haat_queue_depth", "Keys that wait for a worker.")
QUEUE_WAIT_SECONDS = Histogram(
    "haat_queue_wait_seconds", "Time a key waited for a worker.", buckets=(0.001, 0.01, 0.05, 0.25, 1, 5, 30)
)
APPLIES = Counter("haat_apply", "Calls to the API server.", ["kind", "verb", "code"])
PUBLICATIONS = Counter("haat_publication", "Fields written to Redis for the data plane.", ["key"])
SWEEPS = Counter("haat_sweep", "Reads of the heartbeats by result.", ["result"])
SALE_PREWARM_MISSING = Gauge(
    "haat_sale_prewarm_missing", "Seconds to the start of a sale whose capacity is missing.", ["namespace", "name"]
)
SALE_START_SKEW = Gauge(
    "haat_sale_start_skew_seconds", "How much later than planned a sale opened.", ["namespace", "name"]
)
POOL_WORKERS = Gauge("haat_pool_workers", "Live workers of a transcoder pool.", ["pool"])
POOL_UNITS = Gauge(
    "haat_pool_units", "Capacity units of a pool: used, and the workers' whole capacity.", ["pool", "what"]
)
WATCH_LAG = Gauge(
    "haat_watch_lag_seconds", "From the last change of an object to its event, in whole seconds.", ["kind"]
)
PLATFORM_VALID = Gauge("haat_platform_config_valid", "1 while the platform file could be read as it is now.")
LEADER = Gauge("haat_leader", "1 while this replica leads.")
TIME_TO_READY_SECONDS = Histogram(
    "haat_time_to_standby_seconds", "From creation to Standby.", ["kind"], buckets=(1, 2, 3, 5, 10, 30, 60, 300)
)
