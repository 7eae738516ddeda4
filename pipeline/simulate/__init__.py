"""Sources of trial events: replays of real purchases, and a seeded generator whose events are labelled synthetic."""
