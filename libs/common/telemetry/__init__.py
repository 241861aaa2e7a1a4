"""What operators see: logs, metrics, traces. The only door to prometheus_client and opentelemetry."""
