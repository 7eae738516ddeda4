"""Why a process ended, read from its log."""

import pytest

from pipeline.local.processes import first_error

KAFKA = """\
WARNING: A terminally deprecated method in sun.misc.Unsafe has been called
WARNING: sun.misc.Unsafe::arrayBaseOffset has been called by com.google.protobuf.UnsafeUtil
2026-11-30 14:00:00,1 ERROR SocketServer Failed to bind
org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:40111: Address already in use.
\tat kafka.network.DataPlaneAcceptor.openServerSocket(SocketServer.scala:693)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
java.lang.IllegalStateException: shut down
WARNING: Please consider reporting this to the maintainers of class com.google.protobuf.UnsafeUtil
"""
TRACEBACK = """\
{"event":"worker ready","level":"info"}
Traceback (most recent call last):
  File "x.py", line 1, in <module>
ValueError: first
During handling of the above exception, another exception occurred:
Traceback (most recent call last):
  File "x.py", line 3, in <module>
pipeline.errors.BadEvent: the second
"""
CASES = {
    "an exception of Java's, not what follows it nor a warning after it": (
        KAFKA,
        "org.apache.kafka.common.KafkaException: Socket server failed to bind to 127.0.0.1:40111: "
        "Address already in use.",
    ),
    "what our own command said": (
        '{"event":"x","level":"error"}\nValueError: y\nloyalty: port 1 is taken\nWARNING: z\n',
        "loyalty: port 1 is taken",
    ),
    "the last exception of a Python process": (TRACEBACK, "pipeline.errors.BadEvent: the second"),
    "an error among log lines": (
        '{"event":"a","level":"info"}\n{"event":"gone","error":"why","level":"critical"}\n{"event":"b","level":"info"}\n',
        "gone: why",
    ),
    "a virtual machine that does not start": (
        "OpenJDK 64-Bit Server VM warning: x\nError: Could not create the Java Virtual Machine.\n"
        "Error: A fatal exception has occurred. Program will exit.\n",
        "Error: Could not create the Java Virtual Machine.",
    ),
    "the only thing said": ("WARNING: only this\n", "WARNING: only this"),
    "the last of our lines where none is bad": (
        '{"event":"a","level":"info"}\n{"event":"b","level":"info"}\n[1, 2]\n', "[1, 2]"
    ),
    "nothing": ("\n\n", "no output"),
}  # fmt: skip


@pytest.mark.parametrize(("log", "said"), CASES.values(), ids=CASES)
def test_the_first_real_error_is_told(log: str, said: str) -> None:
    assert first_error(log) == said
