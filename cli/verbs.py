"""Every verb of `kurant`, and how trouble ends one: in one line on stderr, with an exit code."""

import os
import sys
from collections.abc import Callable

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from cli import author, events, keys, look, maintain, rehearse, rfm, scenario, segment
from cli.local.process import LocalError
from cli.terminal import ERR, CliError, one_line
from cli.up import up
from libs.common.errors import Misconfigured, Unavailable

app = typer.Typer(
    name="kurant",
    help="Self-hosted, Kafka-native reminder automation.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
VERBS: tuple[Callable[..., None], ...] = (
    up,
    look.status,
    look.explain,
    look.outbox,
    look.audit,
    maintain.reset,
    maintain.settings,
    maintain.migrate,
)
for verb in VERBS:
    app.command()(verb)
scenario.app.command("test")(rehearse.play)
for verb in (author.diff, author.graph, author.new, author.schema):
    scenario.app.command()(verb)
app.add_typer(keys.app, name="keys")
app.add_typer(events.app, name="events")
app.add_typer(scenario.app, name="scenario")
app.add_typer(segment.app, name="segment")
app.add_typer(rfm.app, name="rfm")


@app.callback()
def root() -> None:
    """Self-hosted, Kafka-native reminder automation."""


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        outcome = typer.main.get_command(app).main(arguments, prog_name="kurant", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except (CliError, LocalError) as error:
        return _told(str(error), error.code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has read enough
        return 141
    except (Misconfigured, OSError) as error:
        return _told(one_line(error), 2)
    except Unavailable as error:
        return _told(str(error), 1)
    except NoArgsIsHelpError as error:
        ERR.print(error.format_message(), markup=False)
        return 2
    except ClickException as error:
        return _told(error.format_message(), 2)
    except (typer.Abort, KeyboardInterrupt):
        return 130


def _told(text: str, code: int) -> int:
    ERR.print(f"kurant: {text}", markup=False)
    return code
