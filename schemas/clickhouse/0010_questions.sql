-- What analysts ask: one view a question, in plain names, every figure with its n, its 95 % interval and the version of
-- its definition (`loyalty glossary`). Views that end in _at are asked for a moment: SELECT … FROM issues_at(at = now64(3)).

CREATE OR REPLACE FUNCTION loyalty_share_low AS (hits, n) ->
    if(n = 0, NULL, if(hits = 0, 0., greatest(0., (hits / n + 1.9207294103470646 / n
        - 1.959963984540054 * sqrt(greatest(0., hits / n * (1 - hits / n)) / n + 0.9603647051735323 / n / n)) / (1 + 3.841458820694124 / n))));

CREATE OR REPLACE FUNCTION loyalty_share_high AS (hits, n) ->
    if(n = 0, NULL, if(hits = n, 1., least(1., (hits / n + 1.9207294103470646 / n
        + 1.959963984540054 * sqrt(greatest(0., hits / n * (1 - hits / n)) / n + 0.9603647051735323 / n / n)) / (1 + 3.841458820694124 / n))));

CREATE OR REPLACE FUNCTION loyalty_nps_low AS (promoters, detractors, n) ->
    if(n = 0, NULL, greatest(-100., 100 * ((promoters - detractors) / (n + 3)
        - 1.959963984540054 * sqrt(((promoters + detractors + 1.5) / (n + 3) - pow((promoters - detractors) / (n + 3), 2)) / (n + 3)))));

CREATE OR REPLACE FUNCTION loyalty_nps_high AS (promoters, detractors, n) ->
    if(n = 0, NULL, least(100., 100 * ((promoters - detractors) / (n + 3)
        + 1.959963984540054 * sqrt(((promoters + detractors + 1.5) / (n + 3) - pow((promoters - detractors) / (n + 3), 2)) / (n + 3)))));

-- Contacts and issues

CREATE VIEW contacts
(
    customer_id String COMMENT 'The customer',
    contact_id String COMMENT 'The contact',
    issue_id String COMMENT 'The issue; contacts about the same problem share it',
    opened_at DateTime64(3, 'UTC') COMMENT 'When it began, by the earliest account of it',
    last_at DateTime64(3, 'UTC') COMMENT 'Its newest stage',
    channel LowCardinality(String) COMMENT 'How the customer reached us',
    kind LowCardinality(String) COMMENT 'complaint, question, repair, cancellation or information',
    origin LowCardinality(String) COMMENT 'Where the problem comes from',
    resolved Bool COMMENT 'Solved, as the agent sees it',
    waiting_seconds Float64 COMMENT 'How long the customer waited',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    information_repeated Bool COMMENT 'The customer had to say it again',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    stages UInt64 COMMENT 'Events about it',
    synthetic Bool COMMENT 'Generated, not observed'
)
AS
SELECT
    customer_id,
    contact_id,
    newest.1 AS issue_id,
    first_at AS opened_at,
    last_at,
    newest.2 AS channel,
    newest.3 AS kind,
    newest.4 AS origin,
    newest.5 AS resolved,
    waited AS waiting_seconds,
    passed_on AS transfers,
    repeated AS information_repeated,
    tried_first AS self_service_first,
    stages,
    generated AS synthetic
FROM
(
    SELECT
        customer_id,
        contact_id,
        argMax((issue_id, channel, kind, origin, resolved), (occurred_at, event_id)) AS newest,
        min(opened_at) AS first_at,
        max(occurred_at) AS last_at,
        max(waiting_seconds) AS waited,
        max(transfers) AS passed_on,
        max(information_repeated) AS repeated,
        max(self_service_first) AS tried_first,
        count() AS stages,
        max(synthetic) AS generated
    FROM service_contacts
    GROUP BY customer_id, contact_id
)
COMMENT 'Service contacts, their stages put together: the newest stage wins, effort only adds up';

-- A contact within a week with the same origin is one about another issue, or settles the first one anyhow.
CREATE VIEW issues_at AS
WITH
    {at:DateTime64(3, 'UTC')} AS asked_at,
    toUnixTimestamp64Milli(asked_at) AS asked_ms,
    7 * 86400000 AS week,
    30 * 86400000 AS month,
    known AS
    (
        SELECT
            *,
            toUnixTimestamp64Milli(opened_at) AS opened_ms,
            count() OVER (PARTITION BY customer_id, origin ORDER BY opened_ms RANGE BETWEEN 1 FOLLOWING AND 604799999 FOLLOWING) AS alike_in_a_week
        FROM contacts
        WHERE opened_at <= asked_at
    ),
    by_issue AS
    (
        SELECT
            customer_id,
            issue_id,
            arraySort(groupArray((opened_ms, contact_id, toUnixTimestamp64Milli(last_at), channel, origin, resolved,
                round(waiting_seconds * 1000), transfers, information_repeated, self_service_first, synthetic, alike_in_a_week))) AS told
        FROM known
        GROUP BY customer_id, issue_id
    ),
    spread AS
    (
        SELECT
            customer_id,
            issue_id,
            tupleElement(told, 1) AS moments,
            tupleElement(told, 3) AS ended,
            tupleElement(told, 4) AS channels,
            tupleElement(told, 5) AS causes,
            arrayFilter(cause -> cause != 'unknown', causes) AS known_causes,
            tupleElement(told, 6) AS solved,
            tupleElement(told, 7) AS waited_ms,
            tupleElement(told, 8) AS passed_on,
            tupleElement(told, 9) AS repeated,
            tupleElement(told, 10) AS tried_alone,
            tupleElement(told, 11) AS generated,
            told[1].12 AS alike_after_the_first
        FROM by_issue
    )
SELECT
    customer_id,
    issue_id,
    if(empty(known_causes), 'unknown', known_causes[-1]) AS origin,
    channels[1] AS channel,
    fromUnixTimestamp64Milli(moments[1], 'UTC') AS opened_at,
    toUInt32(length(moments)) AS contacts,
    toUInt32(arrayCount((before, after) -> after - before < week, arrayPopBack(moments), arrayPopFront(moments))) AS repeats_7_days,
    toUInt32(arrayCount((before, after) -> after - before < month, arrayPopBack(moments), arrayPopFront(moments))) AS repeats_30_days,
    toUInt32(arraySum(passed_on)) AS transfers,
    toUInt32(arrayCount((before, after) -> before != after, arrayPopBack(channels), arrayPopFront(channels))) AS channel_switches,
    toUInt32(arrayCount(said -> said, repeated)) AS information_repetitions,
    toUInt32(arrayCount((called_solved, last, after) -> called_solved AND last < after, arrayPopBack(solved), arrayPopBack(ended), arrayPopFront(moments))) AS reopenings,
    arraySum(waited_ms) / 60000 AS waiting_minutes,
    tried_alone[1] AS self_service_first,
    toBool(contacts = 1 AND passed_on[1] = 0 AND NOT repeated[1]) AS effortless,
    toBool(solved[1] AND ended[1] <= asked_ms) AS agent_says_solved,
    toBool((contacts > 1 AND moments[2] - moments[1] < month)
        OR (causes[1] NOT IN ('unknown', 'other') AND alike_after_the_first > 0)) AS came_back,
    multiIf(came_back, 'came back', agent_says_solved, 'solved', 'left open') AS first_contact,
    toBool(came_back OR asked_ms >= moments[1] + month) AS settled,
    if(solved[-1] AND ended[-1] <= asked_ms, (ended[-1] - moments[1]) / 86400000, NULL) AS days_to_resolution,
    toBool(arrayExists(made_up -> made_up, generated)) AS synthetic
FROM spread
COMMENT 'Every issue as of a moment: what it cost the customer, and what became of its first contact: issues_at(at = \'2026-03-01\')';

CREATE VIEW issues
(
    customer_id String COMMENT 'The customer',
    issue_id String COMMENT 'The issue',
    origin String COMMENT 'Where the problem comes from, by the newest contact that knows',
    channel LowCardinality(String) COMMENT 'How the customer first reached us about it',
    opened_at DateTime64(3, 'UTC') COMMENT 'When its first contact began',
    contacts UInt32 COMMENT 'Contacts about it',
    repeats_7_days UInt32 COMMENT 'Of these, less than 7 days after the one before',
    repeats_30_days UInt32 COMMENT 'Of these, less than 30 days after the one before',
    transfers UInt32 COMMENT 'How often the customer was passed on',
    channel_switches UInt32 COMMENT 'Contacts by another channel than the one before',
    information_repetitions UInt32 COMMENT 'Contacts in which the customer had to say it again',
    reopenings UInt32 COMMENT 'Contacts after the one before had been called solved',
    waiting_minutes Float64 COMMENT 'How long the customer waited in all',
    self_service_first Bool COMMENT 'The customer tried to help themselves first',
    effortless Bool COMMENT 'One contact, not passed on, nothing said twice',
    agent_says_solved Bool COMMENT 'The agent calls the first contact solved',
    came_back Bool COMMENT 'The customer came back about it within 30 days, or about the same origin within 7',
    first_contact String COMMENT 'What became of the first contact: solved, came back, left open',
    settled Bool COMMENT 'What the customer does from now on cannot change that',
    days_to_resolution Nullable(Float64) COMMENT 'Until it was called solved; NULL while it is not',
    synthetic Bool COMMENT 'Rests on generated contacts'
)
AS SELECT * FROM issues_at(at = now64(3, 'UTC'))
COMMENT 'Every issue as of now: what it cost the customer, and what became of its first contact';

CREATE VIEW effort_by_origin_at AS
SELECT
    by_origin AS origin,
    by_channel AS channel,
    issues AS n,
    contacts / n AS contacts_per_issue,
    repeated_in_7 / n AS repeats_7_days_per_issue,
    repeated_in_30 / n AS repeats_30_days_per_issue,
    passed_on / n AS transfers_per_issue,
    switched / n AS channel_switches_per_issue,
    said_again / n AS information_repetitions_per_issue,
    opened_again / n AS reopenings_per_issue,
    waited / contacts AS waiting_minutes_per_contact,
    if(called_solved = 0, NULL, days_taken / called_solved) AS days_to_resolution,
    smooth / n AS effortless,
    loyalty_share_low(smooth, n) AS low,
    loyalty_share_high(smooth, n) AS high,
    generated AS synthetic_issues,
    'effortless 1' AS definition_version
FROM
(
    SELECT
        arrayJoin([origin, 'all']) AS by_origin,
        arrayJoin([toString(channel), 'all']) AS by_channel,
        count() AS issues,
        sum(issue.contacts) AS contacts,
        sum(repeats_7_days) AS repeated_in_7,
        sum(repeats_30_days) AS repeated_in_30,
        sum(transfers) AS passed_on,
        sum(channel_switches) AS switched,
        sum(information_repetitions) AS said_again,
        sum(reopenings) AS opened_again,
        sum(waiting_minutes) AS waited,
        count(issue.days_to_resolution) AS called_solved,
        ifNull(sum(issue.days_to_resolution), 0) AS days_taken,
        countIf(issue.effortless) AS smooth,
        countIf(synthetic) AS generated
    FROM issues_at(at = {at:DateTime64(3, 'UTC')}) AS issue
    WHERE toUnixTimestamp64Milli(opened_at) > toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}) - {days:UInt32} * 86400000
    GROUP BY by_origin, by_channel
)
COMMENT 'What getting issues solved costs customers, by where the problem comes from and how they first reached us: effort_by_origin_at(at = \'2026-03-01\', days = 365)';

CREATE VIEW effort_by_origin
(
    origin String COMMENT 'Where the problem comes from; all: every origin',
    channel String COMMENT 'How the customer first reached us; all: every channel',
    n UInt64 COMMENT 'Issues',
    contacts_per_issue Float64 COMMENT 'Contacts it took',
    repeats_7_days_per_issue Float64 COMMENT 'Contacts less than 7 days after the one before',
    repeats_30_days_per_issue Float64 COMMENT 'Contacts less than 30 days after the one before',
    transfers_per_issue Float64 COMMENT 'How often the customer was passed on',
    channel_switches_per_issue Float64 COMMENT 'Contacts by another channel than the one before',
    information_repetitions_per_issue Float64 COMMENT 'Contacts in which the customer had to say it again',
    reopenings_per_issue Float64 COMMENT 'Contacts after the one before had been called solved',
    waiting_minutes_per_contact Float64 COMMENT 'How long the customer waited',
    days_to_resolution Nullable(Float64) COMMENT 'Mean of the issues that are called solved',
    effortless Float64 COMMENT 'Share of issues that took one contact, not passed on, nothing said twice',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    synthetic_issues UInt64 COMMENT 'Issues that rest on generated contacts',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM effort_by_origin_at(at = now64(3, 'UTC'), days = 36500)
COMMENT 'What getting issues solved costs customers, by where the problem comes from and how they first reached us, as of now';

CREATE VIEW first_contact_resolution_at AS
SELECT
    by_origin AS origin,
    settled_issues AS n,
    if(n = 0, NULL, settled_solved / n) AS first_contact_resolution,
    loyalty_share_low(settled_solved, n) AS low,
    loyalty_share_high(settled_solved, n) AS high,
    if(n = 0, NULL, claimed / n) AS agents_claim,
    loyalty_share_low(claimed, n) AS agents_claim_low,
    loyalty_share_high(claimed, n) AS agents_claim_high,
    provisional_issues AS provisional_n,
    if(provisional_n = 0, NULL, provisional_solved / provisional_n) AS provisional_first_contact_resolution,
    loyalty_share_low(provisional_solved, provisional_n) AS provisional_low,
    loyalty_share_high(provisional_solved, provisional_n) AS provisional_high,
    'first_contact_resolution 1, agents_claim 1' AS definition_version
FROM
(
    SELECT
        arrayJoin([origin, 'all']) AS by_origin,
        countIf(settled) AS settled_issues,
        countIf(settled AND first_contact = 'solved') AS settled_solved,
        countIf(settled AND agent_says_solved) AS claimed,
        countIf(NOT settled) AS provisional_issues,
        countIf(NOT settled AND first_contact = 'solved') AS provisional_solved
    FROM issues_at(at = {at:DateTime64(3, 'UTC')})
    WHERE toUnixTimestamp64Milli(opened_at) > toUnixTimestamp64Milli({at:DateTime64(3, 'UTC')}) - {days:UInt32} * 86400000
    GROUP BY by_origin
)
COMMENT 'How many issues the first contact solves, settled and provisional: first_contact_resolution_at(at = \'2026-03-01\', days = 365)';

CREATE VIEW first_contact_resolution
(
    origin String COMMENT 'Where the problem comes from; all: every origin',
    n UInt64 COMMENT 'Settled issues: what the customer does from now on cannot change them',
    first_contact_resolution Nullable(Float64) COMMENT 'Share of settled issues that the first contact solved, by what the customer did next',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    agents_claim Nullable(Float64) COMMENT 'Share of the same issues whose first contact the agent calls solved',
    agents_claim_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    agents_claim_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    provisional_n UInt64 COMMENT 'Issues whose 30 days are not over and whose customer has not come back',
    provisional_first_contact_resolution Nullable(Float64) COMMENT 'Share of these that are called solved so far; it can only fall, because those who come back leave it',
    provisional_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    provisional_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM first_contact_resolution_at(at = now64(3, 'UTC'), days = 36500)
COMMENT 'How many issues the first contact solves, settled and provisional, as of now';

-- What customers say

CREATE VIEW nps_by_segment_at AS
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

CREATE VIEW nps_by_segment
(
    segment_kind String COMMENT 'all, lifecycle, quadrant or touchpoint',
    segment String COMMENT 'The segment; a touchpoint is what the answer refers to',
    n UInt64 COMMENT 'Customers who answered, each once with the newest answer (for touchpoints: the newest about it)',
    detractors UInt64 COMMENT 'Answers 0 to 6',
    passives UInt64 COMMENT 'Answers 7 and 8',
    promoters UInt64 COMMENT 'Answers 9 and 10',
    nps Float64 COMMENT 'Promoters minus detractors, in points, -100 to 100',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (adjusted Wald, Rocks 2016)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (adjusted Wald, Rocks 2016)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM nps_by_segment_at(at = now64(3, 'UTC'), days = 36500)
COMMENT 'Recommendation by quadrant, lifecycle and touchpoint, as of now';

-- How loyal they are

CREATE VIEW long_standing_against_regular_at AS
SELECT
    if(long_standing, 'long-standing', 'not long-standing') AS tenure,
    regulars AS regular,
    others AS not_regular,
    customers - regulars - others AS regularity_not_known,
    customers AS n,
    captives AS captive,
    'quadrant 1, long_standing 1, regular 1, captive 1' AS definition_version
FROM
(
    SELECT long_standing, countIf(regular) AS regulars, countIf(NOT regular) AS others, count() AS customers, countIf(captive) AS captives
    FROM customer_loyalty_at(at = {at:DateTime64(3, 'UTC')})
    GROUP BY long_standing
)
COMMENT 'Long-standing against regular: long_standing_against_regular_at(at = \'2026-03-01\')';

CREATE VIEW long_standing_against_regular
(
    tenure String COMMENT 'First bought 365 days ago or longer, or not',
    regular UInt64 COMMENT 'Of these, regulars: buy often and not only for small change',
    not_regular UInt64 COMMENT 'Of these, no regulars',
    regularity_not_known UInt64 COMMENT 'Of these, buy often, and nobody knows what a typical purchase is in their currency',
    n UInt64 COMMENT 'Customers; prospects are none',
    captive UInt64 COMMENT 'Of these, bound without being attached',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM long_standing_against_regular_at(at = now64(3, 'UTC'))
COMMENT 'Long-standing against regular, as of now: two questions, four answers';

CREATE VIEW contract_calendar_at AS
SELECT
    month,
    countIf(kind = 'notice') AS notices_due,
    countIf(kind = 'notice' AND captive) AS notices_due_captive,
    countIf(kind = 'release') AS released,
    countIf(kind = 'release' AND captive) AS released_captive,
    arraySort(groupUniqArrayIf(customer_id, captive)) AS captive_customers,
    'captive 1, next_notice_by 1, released_at 1' AS definition_version
FROM
(
    SELECT customer_id, captive, pair.1 AS kind, toStartOfMonth(assumeNotNull(pair.2)) AS month
    FROM customer_loyalty_at(at = {at:DateTime64(3, 'UTC')})
    ARRAY JOIN [('notice', next_notice_by), ('release', released_at)] AS pair
    WHERE pair.2 IS NOT NULL
)
GROUP BY month
COMMENT 'When what binds customers ends, and when notice can be given last: contract_calendar_at(at = \'2026-03-01\')';

CREATE VIEW contract_calendar
(
    month Date COMMENT 'First day of the month',
    notices_due UInt64 COMMENT 'Customers whose next last moment to give notice lies in it',
    notices_due_captive UInt64 COMMENT 'Of these, captive: bound without being attached',
    released UInt64 COMMENT 'Customers who are free in it: the last of what binds them by force ends',
    released_captive UInt64 COMMENT 'Of these, captive',
    captive_customers Array(String) COMMENT 'The captive ones among both',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM contract_calendar_at(at = now64(3, 'UTC'))
COMMENT 'When what binds customers ends, and when notice can be given last, from now on';

-- What they buy

CREATE VIEW cohorts_at AS
WITH
    toDate(least({at:DateTime64(3, 'UTC')}, (SELECT max(last_event_at) FROM customer_states FINAL))) AS last_day
SELECT
    cohort,
    count() AS customers,
    countIf(first_day + {days:UInt32} <= last_day) AS n,
    countIf(first_day + {days:UInt32} <= last_day AND returned) AS came_back,
    if(n = 0, NULL, came_back / n) AS repeat_rate,
    loyalty_share_low(came_back, n) AS low,
    loyalty_share_high(came_back, n) AS high,
    'cohort 1, repeat_rate 1' AS definition_version
FROM
(
    SELECT
        occasions[1] AS first_day,
        toStartOfMonth(first_day) AS cohort,
        length(occasions) > 1 AND occasions[2] <= first_day + {days:UInt32} AS returned
    FROM customer_states FINAL
    WHERE notEmpty(occasions) AND occasions[1] <= last_day
)
GROUP BY cohort
COMMENT 'How many of those who first bought in a month came back within a window: cohorts_at(at = \'2026-03-01\', days = 90)';

CREATE VIEW cohorts
(
    cohort Date COMMENT 'First day of the month of the first voluntary purchase',
    customers UInt64 COMMENT 'Customers of the cohort',
    n UInt64 COMMENT 'Of these, whose 90 days are over',
    came_back UInt64 COMMENT 'Of these, bought voluntarily on a further day within 90 days',
    repeat_rate Nullable(Float64) COMMENT 'Share of n that came back',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM cohorts_at(at = now64(3, 'UTC'), days = 90)
COMMENT 'How many of those who first bought in a month came back within 90 days';

CREATE VIEW cross_sell_at AS
WITH started AS
(
    SELECT
        arrayFilter((category, since) -> since <= {at:DateTime64(3, 'UTC')}, categories, category_since) AS known,
        arrayFilter(since -> since <= {at:DateTime64(3, 'UTC')}, category_since) AS known_since,
        arrayMin(known_since) AS first_at,
        arrayFilter((category, since) -> since = first_at, known, known_since) AS first_ones,
        arrayFilter((category, since) -> since > first_at, known, known_since) AS later_ones
    FROM customer_states FINAL
    WHERE NOT prospect AND arrayExists(since -> since <= {at:DateTime64(3, 'UTC')}, category_since)
)
SELECT
    started_with,
    then_bought,
    n,
    bought,
    bought / n AS cross_sell_rate,
    loyalty_share_low(bought, n) AS low,
    loyalty_share_high(bought, n) AS high,
    'cross_sell_rate 1' AS definition_version
FROM
(
    SELECT arrayJoin(first_ones) AS started_with, arrayJoin(arrayConcat(later_ones, if(empty(later_ones), [], ['any other']))) AS then_bought, count() AS bought
    FROM started
    GROUP BY started_with, then_bought
) AS pairs
INNER JOIN (SELECT arrayJoin(first_ones) AS started_with, count() AS n FROM started GROUP BY started_with) AS starts USING (started_with)
COMMENT 'Who started with a category and later bought in one that was new to them: cross_sell_at(at = \'2026-03-01\')';

CREATE VIEW cross_sell
(
    started_with String COMMENT 'A category of the first purchase that had any',
    then_bought String COMMENT 'A category first bought later; any other: at least one',
    n UInt64 COMMENT 'Customers who started with the first one',
    bought UInt64 COMMENT 'Of these, bought in the second one later',
    cross_sell_rate Float64 COMMENT 'Share of n that did',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM cross_sell_at(at = now64(3, 'UTC'))
COMMENT 'Who started with a category and later bought in one that was new to them';

CREATE VIEW rfm_at AS
WITH
    bought AS
    (
        SELECT
            customer_id,
            toUInt32(greatest(0, toInt32(toDate({at:DateTime64(3, 'UTC')})) - toInt32(toDate(assumeNotNull(last_purchase_at))))) AS days_since_last_purchase,
            purchases,
            spent,
            refunded
        FROM customer_states FINAL
        WHERE first_purchase_at <= {at:DateTime64(3, 'UTC')}
    ),
    in_money AS
    (
        SELECT customer_id, max(fifth) AS monetary
        FROM
        (
            SELECT
                customer_id,
                1 + intDiv(5 * (rank() OVER (PARTITION BY currency ORDER BY toFloat64(net)) - 1), count() OVER (PARTITION BY currency)) AS fifth
            FROM
            (
                SELECT customer_id, currency, spent[currency] - refunded[currency] AS net
                FROM bought
                ARRAY JOIN arrayDistinct(arrayConcat(mapKeys(spent), mapKeys(refunded))) AS currency
            )
        )
        GROUP BY customer_id
    ),
    placed AS
    (
        SELECT
            customer_id,
            days_since_last_purchase,
            purchases,
            spent,
            refunded,
            1 + intDiv(5 * (rank() OVER (ORDER BY days_since_last_purchase DESC) - 1), count() OVER ()) AS recency,
            1 + intDiv(5 * (rank() OVER (ORDER BY purchases) - 1), count() OVER ()) AS frequency
        FROM bought
    )
SELECT
    customer_id,
    days_since_last_purchase,
    placed.purchases AS purchases,
    mapSubtract(
        CAST(spent, 'Map(String, Decimal(38, 4))'),
        CAST(refunded, 'Map(String, Decimal(38, 4))')) AS net_spent,
    toUInt8(recency) AS recency,
    toUInt8(frequency) AS frequency,
    toUInt8(in_money.monetary) AS monetary,
    intDiv(frequency + monetary + 1, 2) AS strength,
    multiIf(
        recency >= 4 AND strength >= 4, 'champions',
        recency >= 4 AND strength >= 2, 'promising',
        recency >= 4, 'newcomers',
        recency = 3 AND strength >= 4, 'steady',
        recency = 3 AND strength = 3, 'need attention',
        recency = 3, 'fading',
        strength = 5, 'must not be lost',
        strength >= 3, 'slipping away',
        recency = 2, 'quiet',
        'gone quiet') AS segment,
    'rfm_segment 1, rfm_quintile 1' AS definition_version
FROM placed
INNER JOIN in_money ON in_money.customer_id = placed.customer_id
COMMENT 'Recency, frequency and monetary value in fifths of all customers: rfm_at(at = \'2026-03-01\')';

CREATE VIEW rfm
(
    customer_id String COMMENT 'The customer',
    days_since_last_purchase UInt32 COMMENT 'Days since the last purchase of any kind',
    purchases UInt32 COMMENT 'Purchases of any kind, refunds not counted',
    net_spent Map(String, Decimal(38, 4)) COMMENT 'What was paid less what was paid back, by currency',
    recency UInt8 COMMENT 'Fifth of all customers by the last purchase: 1 the longest ago, 5 the newest',
    frequency UInt8 COMMENT 'Fifth of all customers by purchases: 5 the most',
    monetary UInt8 COMMENT 'Fifth of the customers of a currency by net spent: 5 the most; of several currencies the best',
    strength UInt8 COMMENT 'Mean of frequency and monetary, halves rounded up',
    segment String COMMENT 'Name of the pair of recency and strength, see rfm_segment in the glossary',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM rfm_at(at = now64(3, 'UTC'))
COMMENT 'Recency, frequency and monetary value in fifths of all customers, as of now';

-- How good the alerts are

CREATE VIEW contact_days_at AS
WITH
    least({at:DateTime64(3, 'UTC')}, (SELECT max(last_event_at) FROM customer_states FINAL)) AS ends_at,
    toUnixTimestamp64Milli(ends_at) AS ends_ms,
    days AS
    (
        SELECT customer_id, toDate(occurred_at) AS day, toUnixTimestamp64Milli(max(occurred_at)) AS seen_ms, max(synthetic) AS generated
        FROM service_contacts
        WHERE occurred_at <= ends_at
        GROUP BY customer_id, day
    ),
    bought AS
    (
        SELECT customer_id, arraySort(groupUniqArray(toUnixTimestamp64Milli(occurred_at))) AS moments
        FROM purchases
        WHERE customer_id IN (SELECT customer_id FROM raw_service_contacts) AND NOT obligated AND refund_of = '' AND occurred_at <= ends_at
        GROUP BY customer_id
    ),
    told AS
    (
        SELECT customer_id, day, max(risk) AS highest
        FROM
        (
            SELECT customer_id, alert_id, toDate(occurred_at) AS day, argMax((churn_risk_0_1, status), _offset) AS newest, newest.1 AS risk
            FROM alert_messages
            WHERE occurred_at <= ends_at AND NOT backfill
            GROUP BY customer_id, alert_id, day
        )
        WHERE newest.2 = 'open'
        GROUP BY customer_id, day
    ),
    done AS
    (
        SELECT customer_id, groupArray(toUnixTimestamp64Milli(occurred_at)) AS actions
        FROM alert_outcomes
        WHERE action != 'none' AND occurred_at <= ends_at
        GROUP BY customer_id
    )
SELECT
    days.customer_id AS customer_id,
    days.day AS day,
    if(told.customer_id = '', NULL, told.highest) AS risk,
    (seen_ms - before[-1]) / 86400000 AS days_since_last_purchase,
    greatest(60., least(365., 3 * (occasions[-1] - occasions[1] + 34) / length(occasions))) AS horizon_days,
    toInt64(round(horizon_days * 86400000)) AS horizon_ms,
    toBool(NOT arrayExists(moment -> moment > seen_ms AND moment <= seen_ms + horizon_ms, moments)) AS fell_silent,
    toBool(seen_ms + horizon_ms <= ends_ms) AS known,
    toBool(arrayExists(moment -> toDate(fromUnixTimestamp64Milli(moment, 'UTC')) >= days.day AND moment <= seen_ms + 30 * 86400000, actions)) AS acted,
    toBool(generated) AS synthetic,
    arrayFilter(moment -> moment <= seen_ms, moments) AS before,
    arrayDistinct(arrayMap(moment -> intDiv(moment, 86400000), before)) AS occasions
FROM days
INNER JOIN bought ON bought.customer_id = days.customer_id
LEFT JOIN told ON told.customer_id = days.customer_id AND told.day = days.day
LEFT JOIN done ON done.customer_id = days.customer_id
WHERE notEmpty(before)
COMMENT 'Customers on days on which they contacted service: their risk, and whether they fell silent: contact_days_at(at = \'2026-03-01\')';

CREATE VIEW contact_days
(
    customer_id String COMMENT 'The customer, who had bought voluntarily before',
    day Date COMMENT 'A day on which they contacted service',
    risk Nullable(Float64) COMMENT 'Highest churn risk of their alerts that were open at the end of the day and had news on it; NULL: no alert',
    days_since_last_purchase Float64 COMMENT 'Days from the last voluntary purchase to the last contact of the day',
    horizon_days Float64 COMMENT 'Within how many days a voluntary purchase had to follow: 3 of their own gaps, 60 at least, 365 at most',
    fell_silent Bool COMMENT 'None did',
    known Bool COMMENT 'The horizon is over',
    acted Bool COMMENT 'The desk acted for the customer on the day or within 30 days',
    synthetic Bool COMMENT 'Rests on generated contacts'
)
AS SELECT customer_id, day, risk, days_since_last_purchase, horizon_days, fell_silent, known, acted, synthetic
FROM contact_days_at(at = now64(3, 'UTC'))
COMMENT 'Customers on days on which they contacted service: their risk, and whether they fell silent';

CREATE VIEW alert_precision_at AS
WITH
    judged AS
    (
        SELECT day, order_of.1 AS called_first, order_of.2 AS score, fell_silent
        FROM contact_days_at(at = {at:DateTime64(3, 'UTC')})
        ARRAY JOIN [
            ('alerts, highest risk first', ifNull(risk, 0.)),
            ('baseline: longest since the last purchase first', days_since_last_purchase),
            ('nobody first: all alike', 0.)] AS order_of
        WHERE known AND NOT acted
    ),
    ranked AS
    (
        SELECT
            called_first,
            fell_silent,
            rank() OVER (PARTITION BY called_first, day ORDER BY score DESC) - 1 AS ahead,
            count() OVER (PARTITION BY called_first, day, score) AS alike,
            least({capacity:UInt32}, count() OVER (PARTITION BY called_first, day)) AS places,
            greatest(0., least(1., (toFloat64(places) - ahead) / alike)) AS chance
        FROM judged
    )
SELECT
    called_first,
    calls AS n,
    hits AS fell_silent,
    hits / calls AS precision,
    loyalty_share_low(hits, calls) AS low,
    loyalty_share_high(hits, calls) AS high,
    {capacity:UInt32} AS calls_a_day,
    'precision_at_capacity 1, silent_after_contact 1' AS definition_version
FROM (SELECT called_first, toUInt64(round(sum(chance))) AS calls, sum(ranked.fell_silent * chance) AS hits FROM ranked GROUP BY called_first)
COMMENT 'Whom a desk reaches that calls so many a day: alert_precision_at(at = \'2026-03-01\', capacity = 10)';

CREATE VIEW alert_precision
(
    called_first String COMMENT 'The order in which the desk calls: by its alerts, by the days since the last purchase, or by none',
    n UInt64 COMMENT 'Calls: 10 a day, or as many as there were customers',
    fell_silent Float64 COMMENT 'Of these, fell silent; who is tied for the last calls of a day counts in part',
    precision Float64 COMMENT 'Share of the calls that reach somebody who falls silent',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    calls_a_day UInt32 COMMENT 'Calls the desk can make on a day',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM alert_precision_at(at = now64(3, 'UTC'), capacity = 10)
COMMENT 'Whom a desk reaches with 10 calls a day, by alerts and by the plainest rule there is; without customers it acted for';

CREATE VIEW calibration_at AS
SELECT
    class / 10 AS risk_from,
    (class + 1) / 10 AS risk_to,
    customers AS n,
    mean_risk,
    silent / n AS fell_silent,
    loyalty_share_low(silent, n) AS low,
    loyalty_share_high(silent, n) AS high,
    'calibration 1, silent_after_contact 1' AS definition_version
FROM
(
    SELECT least(9, toUInt8(floor(told_risk * 10))) AS class, count() AS customers, avg(told_risk) AS mean_risk, countIf(contact.fell_silent) AS silent
    FROM (SELECT assumeNotNull(risk) AS told_risk, fell_silent FROM contact_days_at(at = {at:DateTime64(3, 'UTC')}) WHERE known AND NOT acted AND risk IS NOT NULL) AS contact
    GROUP BY class
)
COMMENT 'Risk against what came of it, in ten classes: calibration_at(at = \'2026-03-01\')';

CREATE VIEW calibration
(
    risk_from Float64 COMMENT 'Lower border of the class of risk, which belongs to it',
    risk_to Float64 COMMENT 'Upper border',
    n UInt64 COMMENT 'Customers on days on which they contacted service and had an alert; not those the desk acted for',
    mean_risk Float64 COMMENT 'Their mean churn risk: what was said',
    fell_silent Float64 COMMENT 'Share that fell silent: what came of it',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson)',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM calibration_at(at = now64(3, 'UTC'))
COMMENT 'Risk against what came of it, in ten classes';

CREATE VIEW holdout_uplift_within AS
WITH
    1.959963984540054 AS z,
    firsts AS
    (
        SELECT customer_id, argMin(held_out, (raised_at, alert_id)) AS arm, min(raised_at) AS first_at
        FROM alerts
        WHERE NOT backfill
        GROUP BY customer_id
    ),
    bought AS
    (
        SELECT customer_id, groupArray(occurred_at) AS moments
        FROM purchases
        WHERE customer_id IN (SELECT customer_id FROM alert_states) AND NOT obligated AND refund_of = ''
        GROUP BY customer_id
    ),
    judged AS
    (
        SELECT arm, NOT arrayExists(at -> at > first_at AND at <= first_at + toIntervalDay({days:UInt32}), moments) AS gone
        FROM firsts
        LEFT JOIN bought ON bought.customer_id = firsts.customer_id
        WHERE first_at + toIntervalDay({days:UInt32}) <= (SELECT max(occurred_at) FROM raw_purchases)
    ),
    counted AS
    (
        SELECT
            countIf(NOT arm) AS acted_for,
            countIf(NOT arm AND gone) AS acted_for_left,
            countIf(arm) AS held_out,
            countIf(arm AND gone) AS held_out_left,
            if(acted_for = 0, NULL, acted_for_left / acted_for) AS one,
            if(held_out = 0, NULL, held_out_left / held_out) AS other,
            loyalty_share_low(acted_for_left, acted_for) AS one_low,
            loyalty_share_high(acted_for_left, acted_for) AS one_high,
            loyalty_share_low(held_out_left, held_out) AS other_low,
            loyalty_share_high(held_out_left, held_out) AS other_high,
            acted_for_left > 0 AND held_out_left > 0 AS has_ratio,
            sqrt(1 / acted_for_left - 1 / acted_for + 1 / held_out_left - 1 / held_out) AS ratio_error
        FROM judged
    )
SELECT
    acted_for + held_out AS n,
    acted_for,
    acted_for_left,
    held_out,
    held_out_left,
    one - other AS effect_of_acting,
    effect_of_acting - sqrt(pow(one - one_low, 2) + pow(other_high - other, 2)) AS low,
    effect_of_acting + sqrt(pow(one_high - one, 2) + pow(other - other_low, 2)) AS high,
    if(has_ratio, one / other, NULL) AS relative_risk,
    if(has_ratio, exp(log(one / other) - z * ratio_error), NULL) AS relative_risk_low,
    if(has_ratio, exp(log(one / other) + z * ratio_error), NULL) AS relative_risk_high,
    multiIf(
        held_out = 0, 'nobody was held out: nothing to compare with',
        acted_for = 0, 'nobody was acted for: no effect to measure',
        high < 0, 'acting helped',
        low > 0, 'acting harmed',
        'no significant difference') AS verdict,
    {days:UInt32} AS days,
    'effect_of_acting 1, relative_risk 1' AS definition_version
FROM counted
WHERE acted_for + held_out > 0
COMMENT 'What acting on alerts changed, against those held out: holdout_uplift_within(days = 90)';

CREATE VIEW holdout_uplift
(
    n UInt64 COMMENT 'Customers with an alert whose 90 days are over, each with their first alert',
    acted_for UInt64 COMMENT 'Of these, the desk was to act for',
    acted_for_left UInt64 COMMENT 'Of these, bought nothing voluntarily within 90 days',
    held_out UInt64 COMMENT 'Held out by a draw: nobody was to act for them',
    held_out_left UInt64 COMMENT 'Of these, bought nothing voluntarily within 90 days',
    effect_of_acting Nullable(Float64) COMMENT 'Share that left among those acted for minus the share among those held out; below zero: acting kept customers',
    low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Newcombe 1998, method 10)',
    high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Newcombe 1998, method 10)',
    relative_risk Nullable(Float64) COMMENT 'The same as a ratio; NULL where an arm lost nobody',
    relative_risk_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Katz et al. 1978)',
    relative_risk_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Katz et al. 1978)',
    verdict String COMMENT 'What the interval allows to be said',
    days UInt32 COMMENT 'Within how many days a customer had to come back',
    definition_version String COMMENT 'Terms of the glossary, each with its version'
)
AS SELECT * FROM holdout_uplift_within(days = 90)
COMMENT 'What acting on alerts changed within 90 days, against those held out';

-- What a question needs

CREATE VIEW current_purchase_model
(
    version String COMMENT 'Name of the purchase model',
    current_from DateTime64(3, 'UTC') COMMENT 'Since when it is the current one'
)
AS SELECT version, current_from FROM parameters WHERE kind = 'purchase_model' AND current
COMMENT 'The purchase model that expectations rest on; empty: none is recorded';
