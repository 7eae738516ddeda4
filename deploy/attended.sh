#!/bin/sh
# Runs a process of ours in a container that is restarted whenever it ends.
# Exit code 4 says that an operator is needed, and another start does not help: the container stays, unhealthy, with the
# reason as the last line of its log, until somebody restarts it.
loyalty "$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
wait "$child"
code=$?
if [ "$code" -gt 128 ]; then # perhaps only the waiting was interrupted
    wait "$child"
    again=$?
    [ "$again" -eq 127 ] || code=$again
fi
[ "$code" -eq 4 ] || exit "$code"
trap 'kill "$child"; exit 4' TERM INT
sleep infinity &
child=$!
wait "$child"
