"""The measured claims: Kurant against bare loops on the same parts, in the same run. `python -m bench [NAME…]`.

Every figure is a ratio, because a machine's own speed means nothing to anybody else. `rivals/` holds what we are
compared with, each a process of its own; `rules`, `ingest`, `relay` are the drivers; `report` writes the results.
"""
