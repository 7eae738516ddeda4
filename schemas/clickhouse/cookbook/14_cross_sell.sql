-- Who starts with one category, how many of them later buy in another, and in which?
-- Any other: at least one category that was new to them. Without categories on purchases there is nothing to see.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT * FROM cross_sell_at(at = {at:DateTime64(3, 'UTC')})
ORDER BY started_with, then_bought != 'any other', bought DESC, then_bought
