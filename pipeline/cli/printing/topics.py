"""Prints the result of accepting a topic."""

from pipeline.cli.printing import output
from pipeline.operations.topic_acceptance import TopicAcceptance


def show(topic: str, accepted: TopicAcceptance) -> None:
    """For a person."""
    if not accepted.anew and not accepted.gone:
        output.say(f"{topic} is as it was; there is nothing to accept.")
    if accepted.restored:
        output.say(f"{accepted.restored} erased customers were put on the list again, from the warehouse.")
    for one in accepted.gone:
        output.say(
            f"The {one.reader} goes on without {one.below - one.first} records of {topic}, partition {one.partition} "
            f"(offsets {one.first} to {one.below - 1})."
        )
    if accepted.anew:
        output.say(f"{topic} is read from its beginning; what its old records came to stays. Start workers and sinks.")
