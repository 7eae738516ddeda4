-- The interval of a recommendation score contains the score itself, also where few answers agree; the core says the same.
-- A view keeps the text of the functions it was created with, so the one that asks them is created again.

CREATE OR REPLACE FUNCTION loyalty_nps_low AS (promoters, detractors, n) ->
    if(n = 0, NULL, least(100 * (promoters - detractors) / n, greatest(-100., 100 * ((promoters - detractors) / (n + 3)
        - 1.959963984540054 * sqrt(((promoters + detractors + 1.5) / (n + 3) - pow((promoters - detractors) / (n + 3), 2)) / (n + 3))))));

CREATE OR REPLACE FUNCTION loyalty_nps_high AS (promoters, detractors, n) ->
    if(n = 0, NULL, greatest(100 * (promoters - detractors) / n, least(100., 100 * ((promoters - detractors) / (n + 3)
        + 1.959963984540054 * sqrt(((promoters + detractors + 1.5) / (n + 3) - pow((promoters - detractors) / (n + 3), 2)) / (n + 3))))));

CREATE OR REPLACE VIEW nps_by_segment_at AS
WITH
    toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}) AS until_ms,
    answers AS
    (
        SELECT
            customer_id,
            (occurred_at, event_id) AS moment,
            score,
            multiIf(
                contact_id != '', concat('contact by ', if(reached_by = '', 'unknown channel', toString(reached_by))),
                order_id != '', 'purchase',
                'no occasion') AS touchpoint
        FROM survey_responses AS answer
        LEFT JOIN
        (
            SELECT customer_id, contact_id, argMax(channel, (occurred_at, event_id)) AS reached_by
            FROM service_contacts
            WHERE (customer_id, contact_id) IN (SELECT customer_id, contact_id FROM raw_survey_responses WHERE instrument = 'nps')
            GROUP BY customer_id, contact_id
        ) AS contact
            ON contact.customer_id = answer.customer_id AND contact.contact_id = answer.contact_id
        WHERE instrument = 'nps' AND toUnixTimestamp64Milli(occurred_at) <= until_ms
            AND toUnixTimestamp64Milli(occurred_at) > until_ms - {days:UInt32} * 86400000
    ),
    newest AS (SELECT customer_id, argMax(score, moment) AS latest FROM answers GROUP BY customer_id),
    by_touchpoint AS (SELECT customer_id, touchpoint, argMax(score, moment) AS latest FROM answers GROUP BY customer_id, touchpoint),
    placed AS
    (
        SELECT
            latest,
            [('all', 'all customers'),
             ('lifecycle', if(lifecycle = '', 'prospect', lifecycle)),
             ('quadrant', multiIf(lifecycle = '', 'prospect', quadrant IS NULL, 'not known', assumeNotNull(quadrant)))] AS segments_of
        FROM newest
        LEFT JOIN (SELECT customer_id, lifecycle, quadrant FROM customer_loyalty_at(at = {at:DateTime64(3, 'UTC')})) AS loyalty USING (customer_id)
    ),
    segments AS
    (
        SELECT pair.1 AS segment_kind, pair.2 AS segment, latest FROM placed ARRAY JOIN segments_of AS pair
        UNION ALL
        SELECT 'touchpoint', touchpoint, latest FROM by_touchpoint
    )
SELECT
    segment_kind,
    segment,
    answered AS n,
    detractors,
    answered - detractors - promoters AS passives,
    promoters,
    100 * (toFloat64(promoters) - toFloat64(detractors)) / n AS nps,
    loyalty_nps_low(toFloat64(promoters), toFloat64(detractors), toFloat64(n)) AS low,
    loyalty_nps_high(toFloat64(promoters), toFloat64(detractors), toFloat64(n)) AS high,
    'nps 1' AS definition_version
FROM
(
    SELECT segment_kind, segment, count() AS answered, countIf(latest <= 6) AS detractors, countIf(latest >= 9) AS promoters
    FROM segments
    GROUP BY segment_kind, segment
)
COMMENT 'Recommendation by segment, each customer once with the newest answer: nps_by_segment_at(at = \'2026-03-01\', days = 365)';
