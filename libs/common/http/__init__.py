"""HTTP: the server every service shows, problem+json, credentials, and the client between services."""
