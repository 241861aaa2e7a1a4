"""PostgreSQL: pool and transaction, stored offsets (I4), API keys, migrations."""
