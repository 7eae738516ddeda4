-- Of those who first bought in a month, how many came back within a stated window?
-- The repeat rate is of those whose window is over (n). Coming back is a voluntary purchase on a further day; days are whole days, in UTC.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 90: the window after the first purchase
-- needs customers: nobody has bought anything yet
SELECT * FROM cohorts_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
ORDER BY cohort
