"""`kurant keys`: API keys of shops."""

from typing import Annotated

import typer

from cli import known
from cli.client import find
from cli.options import Data, EveryShop, Json, KeyId, Shop
from cli.terminal import line, say, show_json, show_table

app = typer.Typer(help="API keys.", no_args_is_help=True, rich_markup_mode=None)
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="ingest, read or admin; may be repeated")]


@app.command()
def create(shop: Shop = None, scope: Scopes = None, data: Data = None, as_json: Json = False) -> None:
    """Create a key and show it, this once."""
    target = find(data)
    made = target.ask("POST", "/v1/keys", json={"shop": target.shop(shop), "scopes": scope or ["ingest"]})
    if as_json:
        show_json(made)
        return
    say(f"key {made['id']} of shop {made['shop']} ({', '.join(made['scopes'])}); it is not shown again")
    line(made["key"])


@app.command("list")
def list_(shop: EveryShop = None, data: Data = None, as_json: Json = False) -> None:
    """List keys, without the keys themselves."""
    target = find(data)
    found = target.ask("GET", "/v1/keys", params={"shop": shop})
    known.shop(target, shop, found)
    if as_json:
        show_json(found)
        return
    rows = [
        (row["id"], row["shop"], ",".join(row["scopes"]), row.get("created_at"), row.get("revoked_at")) for row in found
    ]
    show_table(("id", "shop", "scopes", "created", "revoked"), rows)


@app.command()
def revoke(key_id: KeyId, data: Data = None) -> None:
    """Revoke a key by its id; it may still be taken for ten seconds."""
    find(data).ask("DELETE", f"/v1/keys/{key_id}")
    say(f"revoked {key_id}")
