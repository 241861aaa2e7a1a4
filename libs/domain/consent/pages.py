"""The customers' pages: small, by hand, without scripts, pictures, cookies or anything from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from libs.domain.consent.state import TRANSACTIONAL, Status
from libs.domain.consent.texts import Texts

STYLE = (
    "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;"
    "color:#1c1c1c;background:#fff}h1{font-size:1.5rem}"
    "button{font:inherit;padding:.7rem 1.2rem;border:2px solid #14507a;border-radius:.4rem;background:#14507a;"
    "color:#fff;cursor:pointer}button.plain{background:#fff;color:#14507a}"
    "button:focus-visible{outline:3px solid #e08a00;outline-offset:2px}"
    "li{display:flex;flex-wrap:wrap;gap:.6rem;justify-content:space-between;align-items:center;"
    "padding:.8rem 0;border-bottom:1px solid #ccc}ul{list-style:none;padding:0}p[role=status]{font-weight:600}"
    "small{display:block;color:#444}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""What every page is sent with: nothing may be loaded, framed, kept or followed."""


def _page(texts: Texts, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{texts["lang"]}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def filled(texts: Texts, name: str, shop: str, channel: str, purpose: str) -> str:
    """A sentence about a permission, as plain text."""
    return texts[name].format(shop=shop, channel=texts.get(channel, channel), purpose=texts.get(purpose, purpose))


def _say(text: str, status: bool = False) -> str:
    return f'<p role="status">{escape(text)}</p>' if status else f"<p>{escape(text)}</p>"


def _button(label: str, name: str, value: str, described: str = "", plain: bool = False) -> str:
    style = ' class="plain"' if plain else ""
    label_for = f' aria-label="{escape(f"{label}: {described}")}"' if described else ""
    said = f'name="{escape(name)}" value="{escape(value)}"{label_for}'
    return f'<button type="submit"{style} {said}>{escape(label)}</button>'


def unsubscribe(texts: Texts, shop: str, channel: str, purpose: str) -> str:
    """Asks, with one button; it changes nothing by being looked at."""
    ask = filled(texts, "unsubscribe_ask", shop, channel, purpose)
    form = f'<form method="post">{_button(texts["unsubscribe_do"], "List-Unsubscribe", "One-Click")}</form>'
    return _page(texts, texts["unsubscribe"], _say(ask) + form)


def unsubscribed(texts: Texts, shop: str, channel: str, purpose: str) -> str:
    """Says that it is done."""
    said = filled(texts, "unsubscribed_say", shop, channel, purpose)
    return _page(texts, texts["unsubscribed"], _say(said, status=True))


def confirm(texts: Texts, shop: str, channel: str, purpose: str) -> str:
    """Asks for the second yes of a double opt-in."""
    ask = filled(texts, "confirm_ask", shop, channel, purpose)
    form = f'<form method="post">{_button(texts["confirm_do"], "confirm", "yes")}</form>'
    return _page(texts, texts["confirm"], _say(ask) + form)


def confirmed(texts: Texts, shop: str, channel: str, purpose: str) -> str:
    """Says that the permission stands."""
    said = filled(texts, "confirmed_say", shop, channel, purpose)
    return _page(texts, texts["confirmed"], _say(said, status=True))


def plain(texts: Texts, name: str) -> str:
    """A page that only says something: `bad`, `stale`, `unknown`, `away`."""
    return _page(texts, texts[name], _say(texts[f"{name}_say"]))


def preferences(texts: Texts, shop: str, standing: Mapping[tuple[str, str], Status], saved: bool) -> str:
    """Every channel and purpose that is known, each with its switch, and one button for all."""
    shown = {key: status for key, status in sorted(standing.items()) if key[1] != TRANSACTIONAL}
    body = _say(texts["saved"], status=True) if saved else ""
    if not shown:
        return _page(texts, texts["preferences"], body + _say(texts["nothing"]) + _say(texts["always"]))
    body += _say(texts["preferences_say"].format(shop=shop)) + '<form method="post"><ul>'
    for (channel, purpose), status in shown.items():
        what = f"{texts.get(channel, channel)}: {texts.get(purpose, purpose)}"
        body += (
            f"<li><span>{escape(what)} – {escape(texts[status])}{_agree(texts, shop, channel, purpose, status)}</span>"
        )
        body += _switch(texts, channel, purpose, status, what) + "</li>"
    everything = _button(texts["all_off"], "all", "off")
    return _page(texts, texts["preferences"], f"{body}</ul><p>{everything}</p></form>{_say(texts['always'])}")


def _agree(texts: Texts, shop: str, channel: str, purpose: str, status: Status) -> str:
    """What is agreed to by turning it on: it stands beside the button, as the law wants it."""
    if status not in ("refused", "withdrawn"):
        return ""
    return f"<small>{escape(filled(texts, 'turn_on_say', shop, channel, purpose))}</small>"


def _switch(texts: Texts, channel: str, purpose: str, status: Status, what: str) -> str:
    if status in ("granted", "requested"):
        return _button(texts["turn_off"], "off", f"{channel}:{purpose}", what)
    return _button(texts["turn_on"], "on", f"{channel}:{purpose}", what, plain=True)
