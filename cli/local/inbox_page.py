"""The inbox's HTML: a list of mails, and one mail with its headers, its links and both of its bodies."""

from html import escape
from typing import Any

MAIL_POLICY = "default-src 'none'; img-src * data:; style-src 'unsafe-inline' *; font-src *; sandbox allow-popups"
"""A mail runs no script and sees nothing of this page."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:#1c2430;background:#f5f6f8}
header{background:#1c2430;color:#fff;padding:.8rem 1.2rem}header a{color:#fff;text-decoration:none}
main{padding:1.2rem;max-width:70rem;margin:auto}
table{border-collapse:collapse;width:100%;background:#fff}td,th{text-align:left;padding:.45rem .7rem;
border-bottom:1px solid #e3e6ea;vertical-align:top}th{font-weight:600}td.when{white-space:nowrap}
iframe{width:100%;height:40rem;border:1px solid #d5d9df;background:#fff}pre{white-space:pre-wrap;background:#fff;
padding:1rem;border:1px solid #d5d9df}
"""


def _page(title: str, body: str, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="3">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>{again}'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f'<body><header><a href="/">Kurant inbox</a></header><main>{body}</main></body></html>'
    )


def index(mails: list[dict[str, Any]]) -> str:
    """All mails, newest first; the page renews itself."""
    rows = "".join(
        f'<tr><td class="when">{escape(mail["received_at"][:19].replace("T", " "))}</td>'
        f"<td>{escape(', '.join(mail['to']))}</td>"
        f'<td><a href="/messages/{escape(mail["id"])}">{escape(mail["subject"]) or "(no subject)"}</a></td></tr>'
        for mail in reversed(mails)
    )
    head = "<tr><th>Received (UTC)</th><th>To</th><th>Subject</th></tr>"
    table = f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    return _page("Kurant inbox", f"<h1>{len(mails)} mails</h1>{table}", refresh=True)


def message(mail: dict[str, Any]) -> str:
    """One mail."""
    headers = "".join(
        f"<tr><th>{escape(name)}</th><td>{_value(name, value)}</td></tr>" for name, value in mail["headers"].items()
    )
    html = ""
    if mail["html"] is not None:
        where = f"/messages/{escape(mail['id'])}/html"
        html = f'<h2>HTML</h2><iframe sandbox="allow-popups" title="HTML part" src="{where}"></iframe>'
    text = f"<h2>Text</h2><pre>{escape(mail['text'])}</pre>" if mail["text"] is not None else ""
    source = f'<p><a href="/messages/{escape(mail["id"])}/source">Source</a></p>'
    return _page(mail["subject"], f"<h1>{escape(mail['subject'])}</h1><table>{headers}</table>{html}{text}{source}")


def _value(name: str, value: str) -> str:
    if name.lower() != "list-unsubscribe":
        return escape(value)
    targets = [target.strip().strip("<>") for target in value.split(",")]
    return ", ".join(
        f'<a href="{escape(target)}">{escape(target)}</a>' if target.startswith("http") else escape(target)
        for target in targets
    )
