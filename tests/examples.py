"""How many examples Hypothesis makes up, a fifth of them in a quick run; how long that takes fails no test."""

from hypothesis import HealthCheck, settings

FEWER = 5
STANDARD = settings.get_profile("default").max_examples
QUICK = STANDARD // FEWER


def register() -> None:
    """Let pytest know what ``--hypothesis-profile=quick`` means, and what holds without it."""
    at_any_speed = settings(deadline=None, suppress_health_check=(HealthCheck.too_slow,))
    settings.register_profile("default", at_any_speed)
    settings.register_profile("quick", at_any_speed, max_examples=QUICK)
    settings.load_profile("default")


def examples(count: int) -> int:
    """So many in the extended run, a part of them in a quick one."""
    default = settings.default
    return count // FEWER if default is not None and default.max_examples == QUICK else count
