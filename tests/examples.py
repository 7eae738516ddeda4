"""How many examples Hypothesis makes up: a quick run tries fewer of them, the extended one all."""

from hypothesis import settings

FEWER = 5
STANDARD = settings.get_profile("default").max_examples
QUICK = STANDARD // FEWER


def register_quick() -> None:
    """Let pytest know what ``--hypothesis-profile=quick`` means."""
    settings.register_profile("quick", max_examples=QUICK)


def examples(count: int) -> int:
    """So many in the extended run, a part of them in a quick one."""
    default = settings.default
    return count // FEWER if default is not None and default.max_examples == QUICK else count
