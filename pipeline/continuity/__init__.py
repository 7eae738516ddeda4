"""Whether the topics are those we have read so far, and begin no later than where we go on reading.

Rules
-----
- A process asks before it reads, and again while it runs: every two seconds, and a sink once more between
  having read a batch and writing it, so that no row is made of a record under another incarnation's number.
- Nothing is decided here: who meets another topic, or records that are gone, refuses with one line that names the
  topic and the command that goes on (``loyalty topics accept``, :mod:`pipeline.operations.topic_acceptance`).
- The id of the list of erased customers, where all other ids stand, is also remembered in a commit: where the list
  itself was made again, nothing in it can say so.
"""

from pipeline.continuity.agreement import (
    TopicsFound,
    agreed,
    check,
    go_on_with,
    look,
    remember,
    remember_list,
    remembered_list,
    skip,
)
from pipeline.continuity.ids import Ids, Topics, ids
from pipeline.continuity.positions import READERS, Place, Reach, commit

__all__ = [
    "READERS",
    "Ids",
    "Place",
    "Reach",
    "Topics",
    "TopicsFound",
    "agreed",
    "check",
    "commit",
    "go_on_with",
    "ids",
    "look",
    "remember",
    "remember_list",
    "remembered_list",
    "skip",
]  # fmt: skip
