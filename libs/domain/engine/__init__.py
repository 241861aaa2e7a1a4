"""What a customer's events do to their enrolments: state in, state and effects out. Pure.

`state` what is remembered of a profile · `program` a scenario made ready to run · `run` an enrolment goes on ·
`events` an event arrives · `due` a wake-up call arrives · `merge` two profiles become one · `explain` why.
"""
