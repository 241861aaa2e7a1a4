"""Trying a template at lint, with sample values, so that a fault is seen before a customer's mail shows it."""

import re
from dataclasses import dataclass
from typing import Any

from minijinja import TemplateError

from libs.domain.template.render import environment, given

CERTAIN = ("syntax error", "unknown", "template not found", "bad escape", "engine ran out of fuel")
"""What fails for everyone; other faults may depend on the values."""
PLACE = re.compile(r"\s*\(in [^()]*:(\d+)\)$")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong, and in which line of the template (from 1)."""

    line: int
    message: str

    @property
    def certain(self) -> bool:
        """Whether it fails for everyone; else it depends on the values."""
        return self.message.startswith(CERTAIN)


def trial(source: str, *samples: dict[str, Any]) -> Fault | None:
    """The first fault of a template: in its syntax, or when it is rendered with one of `samples`."""
    try:
        fresh = environment()
        fresh.add_template("trial", source)
        for sample in samples:
            fresh.render_template("trial", **given(sample))
    except TemplateError as error:
        told = str(error).split("\n")[0]
        found = PLACE.search(told)
        return Fault(line=int(found[1]) if found else 1, message=PLACE.sub("", told)[:200])
    return None
