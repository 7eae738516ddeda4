-- How many problems does the first contact solve, by what customers do next and by what agents claim, settled and provisional?
-- Settled after 30 days, or when the customer comes back. Provisional ones can still come back, so their share can only fall.
-- Puts all stages of contacts together, so it reads all raw service contacts.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 36500: only issues opened within so many days before it
-- needs service_contacts: nobody contacted service yet
SELECT * FROM first_contact_resolution_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
ORDER BY origin != 'all', n DESC, origin
