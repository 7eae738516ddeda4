-- What does getting a problem solved cost customers, by where it comes from and the channel they chose?
-- Effort is counted from what happened, nobody is asked. n are issues; low and high are the interval of the share that was effortless.
-- Puts all stages of contacts together, so it reads all raw service contacts.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 36500: only issues opened within so many days before it
-- needs service_contacts: nobody contacted service yet
SELECT * FROM effort_by_origin_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
ORDER BY origin != 'all', origin, channel != 'all', channel
