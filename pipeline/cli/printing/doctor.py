"""Prints the doctor's findings."""

from pipeline.cli.printing import output
from pipeline.operations.doctor import DoctorFinding


def show(findings: list[DoctorFinding]) -> None:
    """For a person."""
    for finding in findings:
        output.say(f"{'ok  ' if finding.ok else 'BAD '} {finding.check:<14} {output.clean(finding.found)}")
        if not finding.ok and finding.remedy:
            output.say(f"     {'':<14} remedy: {output.clean(finding.remedy)}")
