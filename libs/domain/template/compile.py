"""A scenario's message files, compiled once: front matter read, MJML to HTML, the text part derived."""

import re

import mrml
import msgspec

from libs.domain.scenario.source import Finding, ScenarioError, read
from libs.domain.template.text import from_html

FILE = re.compile(
    r"messages/(?P<name>[A-Za-z0-9_-]+)\.(?P<channel>email|sms|push|whatsapp|viber)"
    r"(?:\.(?P<language>[a-z]{2}))?\.(?P<form>mjml|html|txt|yaml)"
)
FIELDS = ("subject", "preheader", "sender", "title", "url", "body")


class CompiledMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of one channel and language; every field is a template still."""

    name: str
    channel: str
    language: str | None
    subject: str = ""
    preheader: str = ""
    sender: str = ""
    url: str = ""
    html: str = ""
    text: str = ""


def names(files: dict[str, str]) -> dict[str, re.Match[str]]:
    """The message files of a bundle, each with its name taken apart."""
    return {file: found for file in files if (found := FILE.fullmatch(file))}


def compile_bundle(files: dict[str, str]) -> dict[str, CompiledMessage]:
    """Every message by `first.email` or `first.email.pl`; raises `ScenarioError` with what is wrong."""
    findings: list[Finding] = []
    made: dict[str, CompiledMessage] = {}
    for file, found in names(files).items():
        if found["form"] == "txt" and found["channel"] == "email" and _has_richer(file, files):
            continue
        try:
            key = ".".join(part for part in (found["name"], found["channel"], found["language"]) if part)
            made[key] = _compile(file, found, files)
        except ScenarioError as error:
            findings += error.findings
    if findings:
        raise ScenarioError(findings)
    return made


def _has_richer(file: str, files: dict[str, str]) -> bool:
    """Whether a text is the text part of a mail that is written in MJML or HTML beside it."""
    stem = file.removesuffix("txt")
    return f"{stem}mjml" in files or f"{stem}html" in files


def _compile(file: str, found: re.Match[str], files: dict[str, str]) -> CompiledMessage:
    front, body = (fields(files[file], file), "") if found["form"] == "yaml" else split(files[file], file)
    html = text = ""
    if found["form"] == "mjml":
        html = _mjml(body, file, files[file].count("\n") - body.count("\n"))
    elif found["form"] == "html":
        html = body
    elif found["form"] == "txt":
        text = body
    if html:
        beside = file.removesuffix(found["form"]) + "txt"
        text = split(files[beside], beside)[1] if beside in files else from_html(html)
    return CompiledMessage(
        name=found["name"],
        channel=found["channel"],
        language=found["language"],
        subject=front.get("subject") or front.get("title") or "",
        preheader=front.get("preheader", ""),
        sender=front.get("sender", ""),
        url=front.get("url", ""),
        html=_with_preheader(html, front.get("preheader", "")),
        text=text or front.get("body", ""),
    )


def split(content: str, file: str) -> tuple[dict[str, str], str]:
    """Front matter between `---` lines, and what follows it."""
    lines = content.split("\n")
    if not lines or lines[0].strip() != "---":
        return {}, content
    end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        raise ScenarioError(
            [Finding(file=file, line=1, column=1, path="", message="the front matter does not end", hint="add `---`")]
        )
    if not any(line.strip() for line in lines[1:end]):
        return {}, "\n".join(lines[end + 1 :])
    return fields("\n".join(lines[:end]), file), "\n".join(lines[end + 1 :])


def fields(text: str, file: str) -> dict[str, str]:
    """The fields of a front matter, or of a message that is nothing else."""
    source = read(text, file)
    if not isinstance(source.value, dict):
        raise ScenarioError([source.finding("", "front matter is a mapping", "`subject: Your cart`")])
    for name in source.value:
        if name not in FIELDS:
            raise ScenarioError([source.finding(name, f"{name} is not known here", f"one of: {', '.join(FIELDS)}")])
    return {name: str(value) for name, value in source.value.items() if value is not None}


def _mjml(body: str, file: str, offset: int) -> str:
    try:
        made = mrml.to_html(body, None, mrml.RenderOptions(fonts={}))  # no fonts from somebody else's server
    except (OSError, ValueError) as error:
        where = re.search(r"position (\d+):", str(error))
        line = 1 + offset + (body.count("\n", 0, int(where[1])) if where else 0)
        finding = Finding(file=file, line=line, column=1, path="", message=f"MJML: {str(error)[:200]}")
        raise ScenarioError([finding]) from None
    return str(made.content)


def _with_preheader(html: str, preheader: str) -> str:
    """The preview text as the first, hidden element, unless the author wrote `mj-preview`."""
    body = re.search(r"<body[^>]*>", html)
    if not preheader or body is None or "mj-preview" in html:
        return html
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{preheader}{"&#847;&zwnj;&nbsp;" * 40}</div>'
    return html[: body.end()] + hidden + html[body.end() :]


def pick(messages: dict[str, CompiledMessage], name: str, channel: str, language: str | None) -> CompiledMessage | None:
    """The message in the customer's language, else the one for all, else any language there is."""
    if language and (exact := messages.get(f"{name}.{channel}.{language[:2].lower()}")):
        return exact
    if general := messages.get(f"{name}.{channel}"):
        return general
    return next((messages[key] for key in sorted(messages) if key.startswith(f"{name}.{channel}.")), None)
