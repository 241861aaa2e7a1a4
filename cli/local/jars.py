"""Kafka's jars: from Maven Central through jgo, each checked by SHA-256, kept in the user's cache folder."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.local.process import LocalError

LOCK = Path(__file__).with_name("kafka-4.3.0.lock")
TRIES = 3
Progress = Callable[[int, int], None]
"""Told (jars ready, jars in all)."""


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, repository: Path) -> Path:
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"

    def good(self, repository: Path) -> bool:
        """Whether it is there and unchanged."""
        try:
            return hashlib.sha256(self.path(repository).read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False


def cache_folder() -> Path:
    """Where downloads are kept for every platform of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kurant"


def read_lock(path: Path = LOCK) -> list[Jar]:
    """The jars that the lock file names, in its order."""
    lines = (line.split("#")[0].split() for line in path.read_text("utf-8").splitlines())
    return [Jar(*fields) for fields in lines if fields]


def ensure(progress: Progress, jars: list[Jar] | None = None, cache: Path | None = None) -> list[Path]:
    """Paths of all jars, after downloading what is missing or changed; raises `LocalError`."""
    jars = read_lock() if jars is None else jars
    repository = (cache or cache_folder()) / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with ThreadPoolExecutor(8) as pool:
            missing = [
                jar for jar, good in zip(jars, pool.map(lambda j: j.good(repository), jars), strict=True) if not good
            ]
            if missing:
                done = len(jars) - len(missing)
                for _ in pool.map(_fetcher(repository), missing):
                    done += 1
                    progress(done, len(jars))
    progress(len(jars), len(jars))
    return [jar.path(repository) for jar in jars]


def _fetcher(repository: Path) -> Callable[[Jar], None]:
    import logging

    import truststore

    truststore.inject_into_ssl()  # a company's own root certificates hold
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(repo_cache=repository, timeout=60)

    def fetch(jar: Jar) -> None:
        reason = "its SHA-256 is not the one in the lock file"
        for _ in range(TRIES):
            jar.path(repository).unlink(missing_ok=True)
            try:
                context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            except Exception as error:  # jgo raises bare RuntimeErrors, requests its own
                reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
            if jar.good(repository):
                return
        raise LocalError(f"cannot get {jar.group}:{jar.artifact}:{jar.version}: {reason}")

    return fetch
