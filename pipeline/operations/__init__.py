"""What operators look at and do: health, lag, audit, dead letters, topics and schema; prints nothing."""
