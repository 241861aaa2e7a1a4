"""Real Kafka, real Postgres, an inbox and the services, as processes on this machine."""
