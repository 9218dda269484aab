"""Measurements of one process in Prometheus' text form."""

from collections.abc import Callable, Collection, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from application.access import Principal
from application.authentication import TokenRefused
from infrastructure.readiness import Part

Verify = Callable[[str | None], Principal]

METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "WEBSOCKET"})
DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER = "other"


class Metrics:
    """`paths` are those that get a line of their own, and `parts` what readiness saw last."""

    def __init__(self, paths: Collection[str], parts: Callable[[], Sequence[Part]]) -> None:
        # Else every series has a second one that nobody reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._paths = frozenset(paths)
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cardinal_http_requests",
            "Requests answered; status 0 is a WebSocket that was closed.",
            ("method", "path", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "cardinal_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("path",),
            buckets=DURATIONS_S,
            registry=self._registry,
        )
        self._appends = Counter(
            "cardinal_appends", "Extensions of the log by this process.", registry=self._registry
        )
        self._refused = Counter(
            "cardinal_tokens_refused", "Tokens that were not accepted.", ("code",), registry=self._registry
        )
        self._registry.register(_PartsCollector(parts))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def observe_request(self, method: str, path: str, status: int, took_s: float) -> None:
        """Unknown methods and paths are counted as `other`, so that nobody can make lines at will."""
        method = method if method in METHODS else OTHER
        path = path if path in self._paths else OTHER
        self._requests.labels(method, path, str(status)).inc()
        if method != "WEBSOCKET":
            self._durations.labels(path).observe(took_s)

    def count_append(self) -> None:
        self._appends.inc()

    def counting(self, verify: Verify) -> Verify:
        """The same, and whom it refuses is counted."""

        def counted(token: str | None) -> Principal:
            try:
                return verify(token)
            except TokenRefused as refused:
                self._refused.labels(refused.code).inc()
                raise

        return counted

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _PartsCollector(Collector):
    """Readiness, projection lag, the horizon's age and what is not sealed, as they were seen last."""

    def __init__(self, parts: Callable[[], Sequence[Part]]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("cardinal_ready", "1 for a part that is ready, else 0.", labels=["part"])
        lag = GaugeMetricFamily(
            "cardinal_projection_lag_seconds",
            "Age of the oldest event that a projection has not taken in.",
            labels=["projection"],
        )
        parked = GaugeMetricFamily(
            "cardinal_projection_parked_streams",
            "Streams with an event that a projection could not take in.",
            labels=["projection"],
        )
        age = GaugeMetricFamily(
            "cardinal_log_horizon_age_seconds",
            "For how long an open transaction has been holding readers of the log back.",
        )
        unsealed = GaugeMetricFamily(
            "cardinal_log_unsealed_seconds", "Age of the oldest event that no seal speaks of yet."
        )
        measured = {
            ("tasks", "dead"): GaugeMetricFamily("cardinal_tasks_dead", "Tasks that were given up."),
            ("tasks", "waiting_s"): GaugeMetricFamily(
                "cardinal_tasks_waiting_seconds", "For how long the oldest task that is due has waited."
            ),
            ("ledgers", "imbalance"): GaugeMetricFamily(
                "cardinal_points_imbalance", "Points on all accounts together: nothing, in double entry."
            ),
            ("backups", "age_s"): GaugeMetricFamily(
                "cardinal_backup_age_seconds", "Age of the newest base backup; none before the first."
            ),
            ("backups", "behind_bytes"): GaugeMetricFamily(
                "cardinal_archive_behind_bytes",
                "Of the write-ahead log, what the archiver has not confirmed.",
            ),
        }
        for part in self._parts():
            for measure, value in part.measures.items():
                if (part.name, measure) in measured:
                    measured[part.name, measure].add_metric([], value)
            ready.add_metric([part.name], float(part.fault is None))
            kind, _, name = part.name.partition(":")
            if kind == "projection":
                lag.add_metric([name], part.measures["lag_s"])
                parked.add_metric([name], part.measures["parked"])
            elif kind == "horizon":
                age.add_metric([], part.measures["age_s"])
            elif kind == "seals":
                unsealed.add_metric([], part.measures["unsealed_s"])
        return iter((ready, lag, parked, age, unsealed, *measured.values()))
