"""Scenarios rehearsed on virtual time: the real engine, the real consent decision, the real templates; no broker.

`model` what a test says · `read` from YAML · `stage` the scenarios ready to play · `world` a customer, a clock and the
calls that are out · `judge` what was expected against what happened · `rehearse` one test · `report` as text.
"""
