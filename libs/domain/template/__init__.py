"""Messages as authors write them, compiled once at publish, rendered per person.

`front` splits and names a message file · `text` makes the text part · `compile` a scenario's bundle · `render`.
"""

from libs.domain.template.compile import CompiledMessage, compile_bundle, names, pick
from libs.domain.template.render import MAY_LACK, Rendered, TemplateError, check_syntax, render, variables

__all__ = [
    "MAY_LACK",
    "CompiledMessage",
    "Rendered",
    "TemplateError",
    "check_syntax",
    "compile_bundle",
    "names",
    "pick",
    "render",
    "variables",
]
