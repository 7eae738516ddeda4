-- Who recommends us: the NPS by quadrant, lifecycle and touchpoint?
-- Finds the newest answer of each customer, so it reads all raw survey answers.
-- Each customer counts once per segment, with the newest answer of the period; the interval is the adjusted Wald one.
-- at = answer moment: now, or the newest event where that is older than two days
-- days = 36500: only answers of so many days before it
-- needs survey_responses: nobody answered a survey yet
SELECT * FROM nps_by_segment_at(at = {at:DateTime64(3, 'UTC')}, days = {days:UInt32})
ORDER BY segment_kind, n DESC, segment
