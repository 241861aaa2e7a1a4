"""The shop that every local platform has, and its key (refused outside local mode)."""

DEMO_KEY = "kurant-demo-key"
DEMO_SHOP = "demo"
