-- With so many calls a day, how often do alerts reach somebody who falls silent, against calling those who bought longest ago?
-- Candidates are customers on days on which they contacted service; without those the desk acted for, and only those whose
-- horizon is over. Nobody without an alert has a score here, so all of them are alike. Falling silent: no voluntary purchase
-- within 3 of their own gaps (60 to 365 days). Looks at each contact's day with every purchase of the customer, so it reads the raw events of all customers
-- who ever contacted service. smallest_lead: the lead over calling at random that so many calls could have shown at all.
-- at = answer moment: now, or the newest event where that is older than two days
-- capacity = 10: calls the desk can make on a day
-- needs alerts: no alert was ever raised; they come with service contacts of customers who have bought
SELECT * FROM alert_precision_at(at = {at:DateTime64(3, 'UTC')}, capacity = {capacity:UInt32})
ORDER BY called_first
