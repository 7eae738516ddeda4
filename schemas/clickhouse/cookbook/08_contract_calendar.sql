-- In which months do the contracts of captive customers end, and when is it too late to give notice?
-- Released: the last of what binds a customer by force ends. Captive: bound without being attached.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
SELECT month, notices_due, notices_due_captive, released, released_captive,
       arrayStringConcat(captive_customers, ', ') AS captive_customers,
       definition_version
FROM contract_calendar_at(at = {at:DateTime64(3, 'UTC')})
ORDER BY month
