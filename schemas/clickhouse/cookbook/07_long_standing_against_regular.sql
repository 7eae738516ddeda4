-- How many customers are long-standing, how many are regulars, and how many are both?
-- Two questions, four answers: a regular buys often and not only for small change, whether for two months or for twenty years.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT * FROM long_standing_against_regular_at(at = {at:DateTime64(3, 'UTC')}) ORDER BY tenure
