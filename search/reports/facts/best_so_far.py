"""The best dev EER so far, against the epochs that all trials together have trained."""

from collections.abc import Iterable
from dataclasses import dataclass

from search.ledger.report import Report
from search.ledger.trial import TrialRecord
from search.reporting.snapshot import read_dev_eer, read_dev_speakers


@dataclass(frozen=True)
class Result:
    """A dev EER with its 95 % interval; rates are fractions."""

    trial: str
    epoch: int
    eer: float
    low: float | None
    high: float | None
    speakers: int | None
    epochs: int = 0
    """That all trials had trained by then."""

    @classmethod
    def from_report(cls, trial: str, report: Report, epochs: int = 0) -> "Result":
        """Return the result that an epoch of a trial is."""
        eer, low, high = read_dev_eer(report)
        return cls(trial, report.epoch, eer, low, high, read_dev_speakers(report), epochs)

    @property
    def deviation(self) -> float | None:
        """The standard deviation that the interval stands for; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low) / (2 * 1.96)


def find_improvements(trials: Iterable[TrialRecord]) -> tuple[list[Result], int]:
    """Return every result that was better than all before it, and the number of all epochs.

    Reports are taken in the order in which they were written.
    """
    reports = sorted(
        (
            (report.time, trial.trial, report)
            for trial in trials
            for report in trial.reports.values()
        ),
        key=lambda each: (each[0], each[1], each[2].epoch),
    )
    found: list[Result] = []
    for count, (_, trial, report) in enumerate(reports, 1):
        if report.objective <= 1 and (not found or report.objective < found[-1].eer):
            found.append(Result.from_report(trial, report, count))
    return found, len(reports)
