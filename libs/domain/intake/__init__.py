"""Taking events in: identifiers made comparable, customers told apart, other vocabularies translated. Pure."""


class Invalid(ValueError):
    """A field that cannot be used, by its path. The text never repeats what was sent."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text
