"""What ends a worker, or lets a topic stand, before it does harm: fuse, watchdog, self-fencing, static membership."""
