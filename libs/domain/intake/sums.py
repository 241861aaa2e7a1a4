"""The sums of ingest for the audit, by shop: what came in and was not passed on, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Sums = Counter[tuple[str, str]]
"""Shop and name -> how many."""


def stopped(shops: Sequence[str], repeats: Sequence[bool], way: str = "door") -> Sums:
    """The repeats among events of these shops that came by `way`."""
    return Counter((shop, f"{way}.duplicates") for shop, repeat in zip(shops, repeats, strict=True) if repeat)


def inbox(shops: Sequence[str], repeats: Sequence[bool], unusable: Iterable[str]) -> Sums:
    """What was read of the inbox topic, and what became of it; `unusable` says of which shops the bad records are."""
    sums = stopped(shops, repeats, "inbox")
    sums.update((shop, "inbox.accepted") for shop, repeat in zip(shops, repeats, strict=True) if not repeat)
    sums.update((shop, "inbox.received") for shop in shops)
    for shop in unusable:
        sums.update(((shop, "inbox.received"), (shop, "inbox.quarantined")))
    return sums


def audited(sums: Mapping[str, int]) -> dict[str, int]:
    """What was taken and not passed on (`stopped`), and why."""
    repeats = sums.get("door.duplicates", 0)
    held = sums.get("inbox.received", 0) - sums.get("inbox.accepted", 0)
    return {
        "stopped": repeats + held,
        "duplicates": repeats + sums.get("inbox.duplicates", 0),
        "quarantined": sums.get("inbox.quarantined", 0),
    }
