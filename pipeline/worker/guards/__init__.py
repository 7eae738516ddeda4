"""Guards end a worker, or let a topic stand, before it does harm: fuse, watchdog, self-fencing, static membership."""
