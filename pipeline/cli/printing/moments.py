"""Says of which moment an answer is, and why of this one."""

from pipeline.core.answer_moment import AnswerMoment


def as_of(moment: AnswerMoment) -> str:
    """The beginning of a sentence: of which moment it is."""
    at = f"{moment.at:%Y-%m-%d %H:%M} UTC"
    return {
        "asked for": f"As of {at}, as asked",
        "newest event": f"As of {at}, the newest event",
        "now": f"As of now, {at}",
    }[moment.basis]
