-- Does acting on alerts keep customers, against those who were held out?
-- Within the experiment of the newest alert, by the customer's first alert of it, as drawn, whether or not a call was made. Left:
-- bought nothing voluntarily within the window. "No significant difference" is an answer, and so is harm; smallest_effect is what
-- could have been seen at all. Compares alerts with every purchase of their customers, so it reads their raw purchases.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 90: within how many days a customer had to come back
-- needs alerts: no alert was ever raised; LOYALTY_HOLDOUT_EXPERIMENTS then keeps a share of the customers from the desk
SELECT * FROM holdout_uplift_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
