"""Events to work with: replays of real purchases, and a seeded generator whose events are labelled synthetic."""
