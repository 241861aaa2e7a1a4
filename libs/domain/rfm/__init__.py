"""RFM: every customer of a shop by recency, frequency and monetary value; pure, on polars frames (docs/rfm.md).

A run is `run.full` or `run.incremental`; `changes.changes` tells who moved, `explain.explain` why a customer is
where he is, `parse.parse` reads the rules.
"""
