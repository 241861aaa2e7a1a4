"""One test, from its text to its outcome."""

from dataclasses import dataclass
from typing import Any

from libs.domain.rehearsal import report
from libs.domain.rehearsal.judge import Failure, Verdict, judge
from libs.domain.rehearsal.model import Rehearsal
from libs.domain.rehearsal.stage import Stage
from libs.domain.rehearsal.world import Played, World
from libs.domain.scenario.source import Finding


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a test."""

    test: Rehearsal
    played: Played
    verdict: Verdict

    @property
    def ok(self) -> bool:
        """Whether all that was expected came, and no message that was not."""
        return self.verdict.ok

    def findings(self) -> list[Finding]:
        """What is wrong, each at its line of the test."""
        return [self._finding(one) for one in self.verdict.failures]

    def _finding(self, failure: Failure) -> Finding:
        return self.test.source.finding(failure.path, failure.message)

    def lines(self) -> list[report.Line]:
        """Both timelines in one."""
        return report.timeline(self.test, self.played, self.verdict)

    def text(self) -> list[str]:
        """Both timelines and the engine's account, as text."""
        return [
            *report.table(self.test, self.lines()),
            "",
            "why:",
            *(f"  {line}" for line in report.why(self.test, self.played.why)),
        ]

    def shown(self) -> dict[str, Any]:
        """The same for other programs."""
        lines = [
            {"at": line.at.isoformat(), "mark": line.mark.strip(), "expected": line.expected, "happened": line.happened}
            for line in self.lines()
        ]
        return {"name": self.test.name, "ok": self.ok, "timeline": lines, "explain": self.played.why}


def rehearse(stage: Stage, test: Rehearsal) -> Outcome:
    """Play a test on a stage and judge it."""
    played = World(stage, test).play()
    return Outcome(test=test, played=played, verdict=judge(test, played))
