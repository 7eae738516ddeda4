-- Does acting on alerts keep customers, against those who were held out?
-- By the customer's first alert, as drawn, whether or not a call was made. Left: bought nothing voluntarily within the window.
-- "No significant difference" is an answer, and so is harm. Compares alerts with every purchase of their customers, so it
-- reads their raw purchases.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 90: within how many days a customer had to come back
-- needs alerts: no alert was ever raised; LOYALTY_HOLDOUT_PERCENT then keeps a share of them from the desk
SELECT * FROM holdout_uplift_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
