"""Events come in: Faust agents over the input topics. The only importer of Faust.

Faust 0.15.3 is pinned exactly. Stock Faust costs four asyncio tasks per record; here a fetch's records travel through
it as one message, a *slice* (:mod:`.transport`). An agent hands each slice to the engine and takes the next; a slice
is done when the engine says that its results are durable, not when Faust acknowledges it. Partitions are worked off
side by side: while the broker confirms one's results, another's slices are folded. An exception that leaves an agent
would acknowledge its slice. None leaves: the process ends at once, with nothing committed.

Four things in Faust decide over data and were therefore read, replaced or fenced, each with a test that fails when
the upstream source changes:

- Its offset tracker works record by record; the ledger commits the end of the finished prefix of slices.
- Its compiled stream iterator writes into that tracker directly; slices use the Python iterator.
- When recovery ends it seeks back and then clears the agents' queues. Records fetched before the seek but handed out
  after the clearing would overtake those that were cleared, and the applied offsets would then hide the cleared ones
  for good. A seek therefore ends every fetch begun before it and stops the flow until Faust resumes it.
- A fetch waits without a bound for an assignment that a second rebalance may have replaced, and every other call into
  the consumer queues up behind it: a worker frozen past its session stood still for good. Fetches are bounded.
"""
