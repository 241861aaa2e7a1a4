"""Consent: what stands when several say something, who may be written to, the register's chain, the pages."""
