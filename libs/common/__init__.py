"""Plumbing that every service stands on: bus, db, http, telemetry, runtime, settings, clock, errors."""

VERSION = "0.1.0"
