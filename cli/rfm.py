"""`kurant rfm`: who buys how lately, how often, for how much (docs/rfm.md)."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import known
from cli.client import Refused, Target, find
from cli.options import Data, Json, Profile, Shop
from cli.scenario import complaint
from cli.terminal import CliError, line, read_text, say, show_json, show_table

app = typer.Typer(
    help="RFM: customers by recency, frequency and monetary value.", no_args_is_help=True, rich_markup_mode=None
)
File = Annotated[Path, typer.Argument(metavar="FILE", help="rfm.yaml")]
Columns = tuple[str, ...]
CUSTOMER: Columns = (
    *("profile", "segment", "r", "f", "m", "recency_days", "orders", "frequency", "monetary", "last_day"),
)
PAGE = 10_000
SHOWN = 1_000
POLL = 0.5
LONGEST = 3600.0
"""Real seconds for which `compute` waits for a run."""


@app.command()
def compute(
    now: Annotated[bool, typer.Option("--now", help="everybody anew, due or not; else those who changed")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no scenario reacts to what this run changes")] = False,
    shop: Shop = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Compute at once, and wait for the end."""
    target = find(data)
    given = {"shop": target.shop(shop), "now": "true" if now else None, "quiet": "true" if quiet else None}
    found = target.ask("POST", "/v1/rfm/runs", params=given)
    if not found["done"]:
        found = _await(target, given["shop"], found["run"])
    if as_json:
        show_json(found)
        return
    kind = f"{found['kind']} run: " if found.get("kind") else ""
    changed = f", {found['changed']} changed" if "changed" in found else ""
    hushed = "; conditions know it, no scenario reacts" if found.get("quiet") else ""
    line(f"{kind}{found['customers']} customers{changed}{hushed}")


def _await(target: Target, shop: str | None, run: int) -> Any:
    """The status after a run that takes longer than an answer."""
    say("computing")
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        time.sleep(POLL)
        found = target.ask("GET", "/v1/rfm", params={"shop": shop})
        if found["run"] >= run:
            return found
    raise CliError("the run has not ended yet; `kurant rfm show` says when it has", code=1)


@app.command()
def show(
    segment: Annotated[str | None, typer.Option("--segment", help="the customers of this one")] = None,
    shop: Shop = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the segments, or the first customers of one."""
    target = find(data)
    own = target.shop(shop)
    if segment is not None:
        rows = target.ask("GET", "/v1/rfm/customers", params={"shop": own, "segment": segment, "limit": str(SHOWN)})
        known.rfm_segment(target, own, segment, rows)
        if as_json:
            show_json(rows)
        else:
            show_table(CUSTOMER, [[row[name] for name in CUSTOMER] for row in rows])
            if len(rows) == SHOWN:
                say(f"the first {SHOWN}; all of them: kurant rfm export FILE.csv")
        return
    found = target.ask("GET", "/v1/rfm", params={"shop": own})
    known.shop(target, own, found["run"])
    if as_json:
        show_json(found)
        return
    if not found["run"]:
        due = f"; first run {found['next_at']}" if found["next_at"] else ""
        say(f"not computed yet{due}, or at once: kurant rfm compute --now")
        return
    rules = f"rules version {found['version']}" if found["version"] else "the default rules"
    line(f"{found['customers']} customers on {found['day']} by {rules}, computed {found['computed_at']}")
    every = max(found["customers"], 1)
    table = [
        (
            row["segment"] or "(none)",
            row["customers"],
            f"{row['customers'] * 100 / every:.1f}%",
            row["orders"],
            row["monetary"],
        )
        for row in found["segments"]
    ]
    show_table(("segment", "customers", "share", "orders", f"monetary {found['currency']}"), table)
    for axis, points in (found["cuts"] or {}).items():
        say(f"{axis} cut points: {', '.join(map(str, points)) or 'none, too few customers'}")
    for reason, count in found["excluded"].items():
        say(f"orders that do not count ({reason}): {count}")


@app.command()
def explain(
    shop: Shop = None,
    email: Annotated[str | None, typer.Option("--email", help="the customer's e-mail address")] = None,
    profile: Profile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Why a customer is in this segment, and how that changed."""
    if (email is None) == (profile is None):
        raise CliError("give either --email or --profile")
    target = find(data)
    params = {"shop": target.shop(shop), "email": email, "profile": profile}
    found = target.ask("GET", "/v1/rfm/explain", params=params)
    if as_json:
        show_json(found)
        return
    line(f"profile {found['profile']} on {found['day']}")
    line(found["text"])
    for row in found["history"]:
        scores = f"r {row['r']}, f {row['f']}, m {row['m']}"
        line(f"{row['at']}  {row['from'] or 'none'} to {row['to'] or 'none'} ({scores})")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    segment: Annotated[str | None, typer.Option("--segment", help="only this one")] = None,
    shop: Shop = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write every customer's figures and scores as CSV."""
    target = find(data)
    own = target.shop(shop)
    count = 0
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, CUSTOMER, extrasaction="ignore")
            writer.writeheader()
            for row in _customers(target, own, segment):
                writer.writerow(row)
                count += 1
        known.rfm_segment(target, own, segment, count)
        part.replace(file)
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        show_json({"file": str(file), "customers": count})
    else:
        say(f"{file}: {count} customers")


def _customers(target: Target, shop: str | None, segment: str | None) -> Iterator[dict[str, Any]]:
    """All of them, page by page."""
    after: str | None = None
    while True:
        params = {"shop": shop, "segment": segment, "after": after, "limit": str(PAGE)}
        rows = target.ask("GET", "/v1/rfm/customers", params=params)
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1]["profile"]


@app.command()
def lint(file: File, as_json: Json = False) -> None:
    """Check the rules without a platform."""
    from libs.domain.rfm.parse import ScenarioError, parse

    found: list[dict[str, Any]] = []
    try:
        parse(read_text(file), file.name)
    except ScenarioError as error:
        names = ("file", "line", "column", "path", "message", "hint", "severity")
        found = [{name: getattr(one, name) for name in names} | {"file": str(file)} for one in error.findings]
    if as_json:
        show_json(found)
    for one in found if not as_json else []:
        line(complaint(Path(), one))
    if found:
        raise typer.Exit(1)
    if not as_json:
        say("nothing wrong")


@app.command()
def publish(file: File, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Publish the rules; the next run goes by them. Rules that did not change keep their version."""
    target = find(data)
    try:
        made = target.ask("PUT", "/v1/rfm", json={"shop": target.shop(shop), "text": read_text(file)})
    except Refused as refused:
        errors = refused.body.get("errors")
        if refused.status != 422 or not errors or "line" not in errors[0]:
            raise
        if as_json:
            show_json({"errors": errors})
        for one in errors if not as_json else []:
            line(complaint(Path(), {**one, "file": str(file)}))
        raise typer.Exit(1) from None
    if as_json:
        show_json(made)
        return
    later = "" if made["published"] else ", stored; they take effect when Kafka is there again"
    line(f"RFM rules version {made['version']}{'' if made['changed'] else ', unchanged'}{later}")
