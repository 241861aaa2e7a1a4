"""`kurant`: the command line. Exit code 0 done, 1 found wrong, 2 called wrong; errors are one line on stderr."""

import sys

import click
import typer

from cli.local.process import LocalError
from cli.terminal import ERR, CliError
from cli.up import up

app = typer.Typer(
    name="kurant",
    help="Self-hosted, Kafka-native reminder automation.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(up)


@app.callback()
def root() -> None:
    """Self-hosted, Kafka-native reminder automation."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    try:
        outcome = typer.main.get_command(app).main(arguments, prog_name="kurant", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except (CliError, LocalError) as error:
        ERR.print(f"kurant: {error}", markup=False)
        return error.code
    except click.ClickException as error:
        ERR.print(f"kurant: {error.format_message()}", markup=False)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130


if __name__ == "__main__":
    main()
