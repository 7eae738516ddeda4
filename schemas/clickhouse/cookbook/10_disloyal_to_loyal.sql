-- How many customers become less loyal after a contact with service for each one who becomes more loyal, against 4 : 1?
-- One contact per customer, drawn by a hash that SQL does not have, and an exact interval that it cannot compute:
-- `loyalty report shift` counts, from the states of all customers, and this is its answer. An empty ratio: nobody became more loyal.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 36500: only contacts of so many days before it
-- report: shift
-- needs service_contacts: nobody contacted service yet
SELECT * FROM format(TSV, 'less_loyal UInt64, the_same UInt64, more_loyal UInt64, undecided UInt64, disloyal_to_loyal Nullable(Float64), low Nullable(Float64), high Nullable(Float64), n UInt64, published Float64, against_published String, synthetic_contacts UInt64, definition_version String', {answer:String})
