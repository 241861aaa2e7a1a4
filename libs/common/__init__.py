"""Plumbing that every service stands on: bus, db, http, telemetry, runtime, settings, clock, errors."""
