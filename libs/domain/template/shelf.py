"""The published versions with their compiled messages, and whether a scenario runs."""

from libs.domain.template.compile import CompiledMessage

Bundle = dict[str, CompiledMessage]


class Shelf:
    """Filled by who reads the scenarios topic. A version, once here, never changes (I8)."""

    def __init__(self) -> None:
        self._bundles: dict[tuple[str, str, int], Bundle] = {}
        self._states: dict[tuple[str, str], tuple[str, int]] = {}

    def publish(self, shop: str, scenario: str, version: int, bundle: Bundle) -> None:
        """Put a version on the shelf."""
        self._bundles.setdefault((shop, scenario, version), bundle)

    def find(self, shop: str, scenario: str, version: int) -> Bundle | None:
        """The messages of a version; None when it is not known here (yet)."""
        return self._bundles.get((shop, scenario, version))

    def knows(self, shop: str, scenario: str, version: int) -> bool:
        """Whether the version is here, so that it need not be compiled again."""
        return (shop, scenario, version) in self._bundles

    def set_state(self, shop: str, scenario: str, state: str, over: int = 0) -> None:
        """Take up whether the scenario is `live`, `paused` or `archived`; versions up to `over` were archived."""
        self._states[(shop, scenario)] = state, over

    def state(self, shop: str, scenario: str, version: int) -> str:
        """`live`, `paused` or `archived`; `live` where nothing was said."""
        state, over = self._states.get((shop, scenario), ("live", 0))
        return "archived" if version <= over else state
