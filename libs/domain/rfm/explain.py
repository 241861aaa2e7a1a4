"""Why a customer is in his segment: the figures, the cut points, the line of the map, what hysteresis held."""

from collections.abc import Mapping
from typing import Any

from libs.domain.rfm import currencies
from libs.domain.rfm.cuts import FIGURES, Cuts, limits, reached
from libs.domain.rfm.model import AXES, LETTERS, Axis, Node, RfmRules, Scores


class Part(Node, frozen=True, kw_only=True):
    """One of the three: `score` is what the customer has, `by_figure` what his figure alone says. `cuts` are the cut
    points of the scores 2, 3, ... and `kept_to` how far the figure may go before the score falls (None: held by
    nothing)."""

    axis: Axis
    figure: str
    score: int
    by_figure: int
    cuts: list[str] | None
    kept_to: str | None = None


class Explanation(Node, frozen=True, kw_only=True):
    """`line` counts from 1 in the segment map. `by_figures` is the segment that the figures alone would give, told when
    it is another. `note` says why there are no scores."""

    profile: str
    segment: str | None
    parts: list[Part]
    line: int | None = None
    pattern: str | None = None
    by_figures: str | None = None
    note: str | None = None

    def text(self) -> str:
        """For people."""
        found = [f"segment: {self.segment or 'none'}"]
        if self.pattern is not None:
            found[0] += f" (line {self.line} of the map: {self.pattern})"
        if self.note is not None:
            found.append(self.note)
        for part in self.parts:
            text = f"{part.axis}: {part.figure}, score {part.score}"
            if part.cuts is not None:
                word = "at most" if part.axis == "recency" else "at least"
                text += f"; {word} {', '.join(part.cuts)} for 2 to {len(part.cuts) + 1}"
            found.append(text)
            if part.kept_to is not None:
                found.append(f"  the figure alone says {part.by_figure}; {part.score} is kept to {part.kept_to}")
        if self.by_figures is not None:
            found.append(f"without hysteresis: {self.by_figures}")
        return "\n".join(found)


def explain(row: Mapping[str, Any], cuts: Cuts, rules: RfmRules) -> Explanation:
    """Of a row of a result (or a stored one, with `recency_days` as of today), by the cut points that it was scored by.

    `msgspec.json.encode` makes JSON of it.
    """
    profile, segment = str(row["profile"]), row["segment"]
    if not row["orders"]:
        note = "no order counts" if row["last_day"] is None else f"no order within {rules.window} days"
        return Explanation(profile=profile, segment=segment, parts=[], note=note)
    parts = [_part(axis, row, cuts, rules) for axis in AXES]
    scores: Scores = (parts[0].score, parts[1].score, parts[2].score)
    alone: Scores = (parts[0].by_figure, parts[1].by_figure, parts[2].by_figure)
    if 0 in scores:
        note = f"{cuts.customers} customers are too few for quantiles, which need {rules.least_customers}"
        return Explanation(profile=profile, segment=segment, parts=parts, note=note)
    line = rules.line(scores)
    return Explanation(
        profile=profile,
        segment=segment,
        parts=parts,
        line=None if line is None else line + 1,
        pattern=None if line is None else rules.segments[line].text(),
        by_figures=rules.segment(alone) if rules.segment(alone) != segment else None,
    )


def _part(axis: Axis, row: Mapping[str, Any], cuts: Cuts, rules: RfmRules) -> Part:
    figure, score, points = row[FIGURES[axis]], row[LETTERS[axis]], cuts.points(axis)
    by_figure = 0 if points is None else reached(axis, points, figure)
    held = points is not None and by_figure < score
    return Part(
        axis=axis,
        figure=_shown(axis, figure, rules),
        score=score,
        by_figure=by_figure,
        cuts=None if points is None else [_shown(axis, point, rules) for point in points],
        kept_to=_shown(axis, limits(axis, points, rules.scale(axis))[score - 2], rules) if points and held else None,
    )


def _shown(axis: Axis, figure: int, rules: RfmRules) -> str:
    if axis == "monetary":
        return f"{currencies.major(figure, rules.currency)} {rules.currency}"
    unit = "days" if axis == "recency" else rules.frequency_of
    return f"{figure} {unit if figure != 1 else unit[:-1]}"
