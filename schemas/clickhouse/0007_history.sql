-- The loyalty state in SQL, for any moment, and what was known when.
--
-- `customer_loyalty_at` says what holds at a moment by everything known now, as `loyalty customer --at` does;
-- `customers_known_at` says what we knew at a moment. Silence changes customers without an event, so nothing that
-- depends on the moment is stored.
--
-- Rows of before hold the whole state as JSON: the defaults read the new columns out of it. The history begins with
-- this migration. It has no TTL: that would drop the only state of customers who have been quiet for long, and with it
-- what was known of them. Who wants one all the same drops whole years at a time.

ALTER TABLE customer_states
    ADD COLUMN IF NOT EXISTS category_since Array(DateTime64(3, 'UTC')) DEFAULT arrayMap(category -> fromUnixTimestamp64Milli(category.2, 'UTC'), JSONExtractKeysAndValues(state, 'categories', 'Int64')) COMMENT 'When each category was first bought' CODEC(ZSTD(1)) AFTER categories,
    ADD COLUMN IF NOT EXISTS occasions Array(Date) DEFAULT arrayFlatten(arrayMap((place, days) -> arrayMap(bit -> toDate(days.2 + 64 * place + bit), bitPositionsToArray(reinterpretAsUInt64(substring(days.1, 8 * place + 1, 8)))), range(intDiv(length(tryBase64Decode(JSONExtractString(state, 'occasions'))) + 7, 8)), arrayWithConstant(intDiv(length(tryBase64Decode(JSONExtractString(state, 'occasions'))) + 7, 8), (tryBase64Decode(JSONExtractString(state, 'occasions')), JSONExtractUInt(state, 'occasions_from'))))) COMMENT 'Days with a voluntary purchase, ascending' CODEC(ZSTD(1)) AFTER category_since,
    ADD COLUMN IF NOT EXISTS with_incentive Array(Bool) DEFAULT arrayMap((day, days) -> has(days, day), occasions, arrayWithConstant(length(occasions), arrayFlatten(arrayMap((place, days) -> arrayMap(bit -> toDate(days.2 + 64 * place + bit), bitPositionsToArray(reinterpretAsUInt64(substring(days.1, 8 * place + 1, 8)))), range(intDiv(length(tryBase64Decode(JSONExtractString(state, 'stated', 9))) + 7, 8)), arrayWithConstant(intDiv(length(tryBase64Decode(JSONExtractString(state, 'stated', 9))) + 7, 8), (tryBase64Decode(JSONExtractString(state, 'stated', 9)), JSONExtractUInt(state, 'stated', 8))))))) COMMENT 'Of each such day: something was bought with an incentive' CODEC(ZSTD(1)) AFTER occasions,
    ADD COLUMN IF NOT EXISTS binding_kinds Array(LowCardinality(String)) DEFAULT JSONExtractKeys(state, 'stated', 1) COMMENT 'What was said to bind the customer: situational, technical, contractual, economic, emotional; the newest of each' AFTER with_incentive,
    ADD COLUMN IF NOT EXISTS binding_said_at Array(DateTime64(3, 'UTC')) DEFAULT arrayMap(binding -> fromUnixTimestamp64Milli(binding.2.1, 'UTC'), JSONExtractKeysAndValues(state, 'stated', 1, 'Tuple(Int64, String, Nullable(Int64), Nullable(Int64))')) COMMENT 'When that was said' CODEC(ZSTD(1)) AFTER binding_kinds,
    ADD COLUMN IF NOT EXISTS binding_ends Array(Nullable(DateTime64(3, 'UTC'))) DEFAULT arrayMap(binding -> fromUnixTimestamp64Milli(binding.2.3, 'UTC'), JSONExtractKeysAndValues(state, 'stated', 1, 'Tuple(Int64, String, Nullable(Int64), Nullable(Int64))')) COMMENT 'When each binding ends; NULL: no end is known' CODEC(ZSTD(1)) AFTER binding_said_at,
    ADD COLUMN IF NOT EXISTS binding_notices Array(Nullable(DateTime64(3, 'UTC'))) DEFAULT arrayMap(binding -> fromUnixTimestamp64Milli(binding.2.4, 'UTC'), JSONExtractKeysAndValues(state, 'stated', 1, 'Tuple(Int64, String, Nullable(Int64), Nullable(Int64))')) COMMENT 'The last moment to give notice of each; NULL where it is no contract or not known' CODEC(ZSTD(1)) AFTER binding_ends,
    ADD COLUMN IF NOT EXISTS programme_member Nullable(Bool) DEFAULT JSONExtract(state, 'stated', 3, 3, 'Nullable(Bool)') COMMENT 'In the loyalty programme, by the newest purchase that says so; NULL: nobody said' AFTER binding_notices,
    ADD COLUMN IF NOT EXISTS member_purchases UInt32 DEFAULT JSONExtractUInt(state, 'stated', 4) COMMENT 'Purchases that said the customer was in the programme' AFTER programme_member,
    ADD COLUMN IF NOT EXISTS referred_by String DEFAULT JSONExtractString(state, 'stated', 5, 3) COMMENT 'The customer who recommended us, by the first word on it, or empty' CODEC(ZSTD(1)) AFTER member_purchases,
    ADD COLUMN IF NOT EXISTS deliveries_on_time UInt32 DEFAULT JSONExtractUInt(state, 'stated', 6) COMMENT 'Promised deliveries that came in time' AFTER referred_by,
    ADD COLUMN IF NOT EXISTS deliveries_late UInt32 DEFAULT JSONExtractUInt(state, 'stated', 7) COMMENT 'Promised deliveries that came late' AFTER deliveries_on_time,
    ADD COLUMN IF NOT EXISTS promised_at Array(DateTime64(3, 'UTC')) DEFAULT arrayMap(promise -> fromUnixTimestamp64Milli(assumeNotNull(promise.1), 'UTC'), arrayFilter(promise -> promise.1 IS NOT NULL, arrayFlatten(arrayMap(contact -> [(contact.16.1, contact.16.2, if(contact.9, contact.4, NULL)), (contact.16.3, contact.16.4, if(contact.9, contact.4, NULL))], JSONExtract(state, 'contacts', 'Array(Tuple(Int64, String, String, Int64, String, String, String, String, Bool, Float64, UInt32, Bool, Bool, UInt32, Bool, Tuple(Nullable(Int64), Nullable(Int64), Nullable(Int64), Nullable(Int64))))'))))) COMMENT 'Call backs and answers promised, of the contacts that are remembered: the moment promised' CODEC(ZSTD(1)) AFTER deliveries_late,
    ADD COLUMN IF NOT EXISTS promise_done_at Array(Nullable(DateTime64(3, 'UTC'))) DEFAULT arrayMap(promise -> fromUnixTimestamp64Milli(promise.2, 'UTC'), arrayFilter(promise -> promise.1 IS NOT NULL, arrayFlatten(arrayMap(contact -> [(contact.16.1, contact.16.2, if(contact.9, contact.4, NULL)), (contact.16.3, contact.16.4, if(contact.9, contact.4, NULL))], JSONExtract(state, 'contacts', 'Array(Tuple(Int64, String, String, Int64, String, String, String, String, Bool, Float64, UInt32, Bool, Bool, UInt32, Bool, Tuple(Nullable(Int64), Nullable(Int64), Nullable(Int64), Nullable(Int64))))'))))) COMMENT 'When each was done; NULL: not known' CODEC(ZSTD(1)) AFTER promised_at,
    ADD COLUMN IF NOT EXISTS promise_settled_at Array(Nullable(DateTime64(3, 'UTC'))) DEFAULT arrayMap(promise -> fromUnixTimestamp64Milli(promise.3, 'UTC'), arrayFilter(promise -> promise.1 IS NOT NULL, arrayFlatten(arrayMap(contact -> [(contact.16.1, contact.16.2, if(contact.9, contact.4, NULL)), (contact.16.3, contact.16.4, if(contact.9, contact.4, NULL))], JSONExtract(state, 'contacts', 'Array(Tuple(Int64, String, String, Int64, String, String, String, String, Bool, Float64, UInt32, Bool, Bool, UInt32, Bool, Tuple(Nullable(Int64), Nullable(Int64), Nullable(Int64), Nullable(Int64))))'))))) COMMENT 'When its contact was solved; NULL: it was not' CODEC(ZSTD(1)) AFTER promise_done_at,
    ADD COLUMN IF NOT EXISTS survey_consent LowCardinality(String) DEFAULT JSONExtractString(state, 'stated', 2, 3) COMMENT 'granted, withdrawn, existing_customer, or empty: nobody knows' AFTER survey_answers,
    ADD COLUMN IF NOT EXISTS survey_consent_at Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(JSONExtract(state, 'stated', 2, 1, 'Nullable(Int64)'), 'UTC') COMMENT 'When that was given' CODEC(ZSTD(1)) AFTER survey_consent,
    ADD COLUMN IF NOT EXISTS latest_nps_at Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(JSONExtract(state, 'latest', 'nps', 1, 'Nullable(Int64)'), 'UTC') COMMENT 'When the newest recommendation score was given' CODEC(ZSTD(1)) AFTER latest_nps,
    ADD COLUMN IF NOT EXISTS ease_answers Array(Float64) DEFAULT arrayMap(answer -> answer.4, arraySort(arrayFilter(answer -> answer.5, [(JSONExtractInt(state, 'latest', 'ces2', 1), JSONExtractString(state, 'latest', 'ces2', 2), 0, (JSONExtractInt(state, 'latest', 'ces2', 4) - JSONExtractInt(state, 'latest', 'ces2', 5)) / (JSONExtractInt(state, 'latest', 'ces2', 6) - JSONExtractInt(state, 'latest', 'ces2', 5)), JSONHas(state, 'latest', 'ces2')), (JSONExtractInt(state, 'latest', 'ces1', 1), JSONExtractString(state, 'latest', 'ces1', 2), 1, 1 - (JSONExtractInt(state, 'latest', 'ces1', 4) - JSONExtractInt(state, 'latest', 'ces1', 5)) / (JSONExtractInt(state, 'latest', 'ces1', 6) - JSONExtractInt(state, 'latest', 'ces1', 5)), JSONHas(state, 'latest', 'ces1'))]))) COMMENT 'The newest answers about effort, one of each instrument, as ease, oldest first' CODEC(ZSTD(1)) AFTER latest_ease,
    ADD COLUMN IF NOT EXISTS ease_answered_at Array(DateTime64(3, 'UTC')) DEFAULT arrayMap(answer -> fromUnixTimestamp64Milli(answer.1, 'UTC'), arraySort(arrayFilter(answer -> answer.5, [(JSONExtractInt(state, 'latest', 'ces2', 1), JSONExtractString(state, 'latest', 'ces2', 2), 0, (JSONExtractInt(state, 'latest', 'ces2', 4) - JSONExtractInt(state, 'latest', 'ces2', 5)) / (JSONExtractInt(state, 'latest', 'ces2', 6) - JSONExtractInt(state, 'latest', 'ces2', 5)), JSONHas(state, 'latest', 'ces2')), (JSONExtractInt(state, 'latest', 'ces1', 1), JSONExtractString(state, 'latest', 'ces1', 2), 1, 1 - (JSONExtractInt(state, 'latest', 'ces1', 4) - JSONExtractInt(state, 'latest', 'ces1', 5)) / (JSONExtractInt(state, 'latest', 'ces1', 6) - JSONExtractInt(state, 'latest', 'ces1', 5)), JSONHas(state, 'latest', 'ces1'))]))) COMMENT 'When they were given' CODEC(ZSTD(1)) AFTER ease_answers,
    ADD COLUMN IF NOT EXISTS latest_satisfaction Nullable(Float64) DEFAULT if(JSONHas(state, 'latest', 'csat'), (JSONExtractInt(state, 'latest', 'csat', 4) - JSONExtractInt(state, 'latest', 'csat', 5)) / (JSONExtractInt(state, 'latest', 'csat', 6) - JSONExtractInt(state, 'latest', 'csat', 5)), NULL) COMMENT 'Newest answer about satisfaction, as a share of its scale' CODEC(ZSTD(1)) AFTER ease_answered_at,
    ADD COLUMN IF NOT EXISTS latest_satisfaction_at Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(JSONExtract(state, 'latest', 'csat', 1, 'Nullable(Int64)'), 'UTC') COMMENT 'When it was given' CODEC(ZSTD(1)) AFTER latest_satisfaction,
    ADD COLUMN IF NOT EXISTS latest_intent Nullable(Float64) DEFAULT if(JSONHas(state, 'latest', 'repurchase_intent'), (JSONExtractInt(state, 'latest', 'repurchase_intent', 4) - JSONExtractInt(state, 'latest', 'repurchase_intent', 5)) / (JSONExtractInt(state, 'latest', 'repurchase_intent', 6) - JSONExtractInt(state, 'latest', 'repurchase_intent', 5)), NULL) COMMENT 'Newest answer to would you buy again, as a share of its scale' CODEC(ZSTD(1)) AFTER latest_satisfaction_at,
    ADD COLUMN IF NOT EXISTS latest_intent_at Nullable(DateTime64(3, 'UTC')) DEFAULT fromUnixTimestamp64Milli(JSONExtract(state, 'latest', 'repurchase_intent', 1, 'Nullable(Int64)'), 'UTC') COMMENT 'When it was given' CODEC(ZSTD(1)) AFTER latest_intent;

-- Once and in the background; until it is done, rows of before are read out of their state, which takes longer.
ALTER TABLE customer_states
    MATERIALIZE COLUMN category_since,
    MATERIALIZE COLUMN occasions,
    MATERIALIZE COLUMN with_incentive,
    MATERIALIZE COLUMN binding_kinds,
    MATERIALIZE COLUMN binding_said_at,
    MATERIALIZE COLUMN binding_ends,
    MATERIALIZE COLUMN binding_notices,
    MATERIALIZE COLUMN programme_member,
    MATERIALIZE COLUMN member_purchases,
    MATERIALIZE COLUMN referred_by,
    MATERIALIZE COLUMN deliveries_on_time,
    MATERIALIZE COLUMN deliveries_late,
    MATERIALIZE COLUMN promised_at,
    MATERIALIZE COLUMN promise_done_at,
    MATERIALIZE COLUMN promise_settled_at,
    MATERIALIZE COLUMN survey_consent,
    MATERIALIZE COLUMN survey_consent_at,
    MATERIALIZE COLUMN latest_nps_at,
    MATERIALIZE COLUMN ease_answers,
    MATERIALIZE COLUMN ease_answered_at,
    MATERIALIZE COLUMN latest_satisfaction,
    MATERIALIZE COLUMN latest_satisfaction_at,
    MATERIALIZE COLUMN latest_intent,
    MATERIALIZE COLUMN latest_intent_at;

CREATE OR REPLACE VIEW norms
(
    norms_version String COMMENT 'Version of these figures',
    usual_gap_days Float64 COMMENT 'Days between two purchase days of a usual customer',
    usual_gap_weight Float64 COMMENT 'For how many of the customer\'s own gaps the usual one counts',
    rest_at_gaps Float64 COMMENT 'Silence, in own gaps, from which a customer is at rest',
    lapse_at_gaps Float64 COMMENT 'Silence, in own gaps, from which a customer has lapsed',
    long_standing_days UInt32 COMMENT 'Days since the first purchase from which a customer is long-standing',
    frequent_occasions UInt32 COMMENT 'Purchase days within 365 days from which a customer buys frequently',
    large_basket_ratio Float64 COMMENT 'Mean basket, in typical ones, from which it is no small basket',
    half_repurchase Float64 COMMENT 'Unprompted purchase days in 365 days that make half of the evidence of repurchase',
    broken_promise Float64 COMMENT 'What a broken promise takes from attachment',
    broken_promises_most Float64 COMMENT 'The most that broken promises take',
    low_attachment Float64 COMMENT 'Below this attachment is low',
    satisfied_from Float64 COMMENT 'From this share of its scale an answer says satisfied',
    satisfaction_days UInt32 COMMENT 'Days after which an answer about satisfaction says nothing about now',
    would_return_from Float64 COMMENT 'From this share of its scale an answer says that the customer would buy again',
    year_days UInt32 COMMENT 'The window in which buying is looked at',
    typical_baskets Map(String, Float64) COMMENT 'A typical purchase by currency, where too few were seen to measure it'
)
AS SELECT
    'priors-1' AS norms_version,
    34.0 AS usual_gap_days,
    1.0 AS usual_gap_weight,
    2.0 AS rest_at_gaps,
    4.0 AS lapse_at_gaps,
    365 AS long_standing_days,
    6 AS frequent_occasions,
    0.5 AS large_basket_ratio,
    2.0 AS half_repurchase,
    0.1 AS broken_promise,
    0.3 AS broken_promises_most,
    0.4 AS low_attachment,
    0.75 AS satisfied_from,
    180 AS satisfaction_days,
    0.5 AS would_return_from,
    365 AS year_days,
    map('USD', 25.98) AS typical_baskets
COMMENT 'The figures the loyalty state rests on that are not the customer\'s own: those of the program, whose tests compare them';

CREATE OR REPLACE VIEW typical_baskets
(
    currency String COMMENT 'ISO 4217',
    typical_basket Float64 COMMENT 'A typical purchase: the median',
    purchases UInt64 COMMENT 'Purchases it is measured from; 0: too few were seen, it is a prior'
)
AS
SELECT currency, typical_basket, purchases
FROM
(
    SELECT currency, quantileDD(0.001, 0.5)(toFloat64(amount)) AS typical_basket, count() AS purchases
    FROM raw_purchases
    WHERE amount > 0
    GROUP BY currency
    HAVING purchases >= 30
    UNION ALL
    SELECT currency, typical_basket, 0
    FROM (SELECT mapKeys(typical_baskets) AS currency, mapValues(typical_baskets) AS typical_basket FROM norms)
    ARRAY JOIN currency, typical_basket
)
ORDER BY currency, purchases DESC
LIMIT 1 BY currency
COMMENT 'What a typical purchase is worth, by currency';

CREATE OR REPLACE VIEW customer_loyalty_at AS
WITH
    {at:DateTime64(3, 'UTC')} AS moment,
    toInt32(intDiv(toUnixTimestamp64Milli(moment), 86400000)) AS today,
    toDate(least(greatest(today, 0), 65535)) AS last_day,
    (
        SELECT (year_days, usual_gap_days, usual_gap_weight, rest_at_gaps, lapse_at_gaps, long_standing_days,
            frequent_occasions, large_basket_ratio, half_repurchase, broken_promise, broken_promises_most, low_attachment,
            satisfied_from, satisfaction_days, would_return_from, norms_version)
        FROM norms
    ) AS norm,
    assumeNotNull(norm.1) AS year_days,
    toDate(least(greatest(today - year_days + 1, 0), 65535)) AS year_start,
    assumeNotNull(norm.2) AS usual_gap_days,
    assumeNotNull(norm.3) AS usual_gap_weight,
    assumeNotNull(norm.4) AS rest_at_gaps,
    assumeNotNull(norm.5) AS lapse_at_gaps,
    assumeNotNull(norm.6) AS long_standing_days,
    assumeNotNull(norm.7) AS frequent_occasions,
    assumeNotNull(norm.8) AS large_basket_ratio,
    assumeNotNull(norm.9) AS half_repurchase,
    assumeNotNull(norm.10) AS broken_promise,
    assumeNotNull(norm.11) AS broken_promises_most,
    assumeNotNull(norm.12) AS low_attachment,
    assumeNotNull(norm.13) AS satisfied_from,
    assumeNotNull(norm.14) AS satisfaction_days,
    assumeNotNull(norm.15) AS would_return_from,
    assumeNotNull(norm.16) AS version_of_norms,
    (SELECT (groupArray(currency), groupArray(typical_basket)) FROM typical_baskets) AS typical,
    ['contractual', 'technical', 'economic', 'situational'] AS forced,
    known AS
    (
        SELECT
            state.customer_id AS customer_id,
            toInt32(toDate(assumeNotNull(first_purchase_at))) AS first_day,
            toInt32(toDate(assumeNotNull(last_purchase_at))) AS bought_last,
            assumeNotNull(first_purchase_at) AS became_customer_at,
            state.purchases AS purchases,
            incentivised,
            spent,
            refunded,
            category_since,
            occasions,
            with_incentive,
            arrayCount(day -> day <= last_day, occasions) AS days_until_now,
            arrayCount(day -> day <= last_day AND day >= year_start, occasions) AS days_in_year,
            occasions[1] AS first_occasion,
            arrayCount((day, incentive) -> day <= last_day AND day > first_occasion AND NOT incentive, occasions, with_incentive) AS free_days,
            arrayCount((day, incentive) -> day <= last_day AND day > first_occasion AND NOT incentive AND day >= year_start, occasions, with_incentive) AS free_days_in_year,
            arrayCount(day -> day <= last_day AND day > first_occasion AND day >= year_start, occasions) AS repeats_in_year,
            arrayMap((said_at, ends_at) -> said_at <= moment AND ifNull(moment < ends_at, true), binding_said_at, binding_ends) AS holds,
            arrayFilter((kind, held) -> held, binding_kinds, holds) AS kinds_in_force,
            arrayFilter((ends_at, kind, held) -> held AND has(forced, kind), binding_ends, binding_kinds, holds) AS forced_ends,
            arrayFilter((notice_by, kind, held) -> held AND has(forced, kind) AND ifNull(notice_by >= moment, false), binding_notices, binding_kinds, holds) AS notices,
            arrayMap(
                (promised, done, settled) -> multiIf(
                    ifNull(done <= moment, false), if(done <= promised, 'kept', 'late'),
                    ifNull(settled <= least(promised, moment), false), 'needless',
                    moment <= promised, 'open',
                    'missed'),
                promised_at, promise_done_at, promise_settled_at) AS verdicts,
            deliveries_on_time,
            deliveries_late,
            if(latest_nps_at <= moment, latest_nps, NULL) AS nps,
            if(latest_satisfaction_at <= moment, latest_satisfaction, NULL) AS satisfied_by,
            latest_satisfaction_at,
            if(latest_intent_at <= moment, latest_intent, NULL) AS intent,
            arrayCount(answered_at -> answered_at <= moment, ease_answered_at) AS ease_answered,
            if(ease_answered = 0, NULL, ease_answers[ease_answered]) AS ease_known,
            programme_member,
            member_purchases,
            state.referred_by AS referred_by,
            open_alerts,
            survey_consent AS consent,
            survey_consent_at AS consent_at,
            ifNull(named.referrals, 0) AS referrals
        FROM customer_states AS state FINAL
        LEFT JOIN
        (
            SELECT referred_by AS customer_id, uniqExact(raw_purchases.customer_id) AS referrals
            FROM raw_purchases
            WHERE referred_by != '' AND occurred_at <= moment
            GROUP BY referred_by
        ) AS named USING (customer_id)
        WHERE first_purchase_at <= moment
    ),
    measured AS
    (
        SELECT
            *,
            arraySort(arrayDistinct(arrayConcat(mapKeys(spent), mapKeys(refunded)))) AS currencies,
            toUInt32(today - first_day) AS tenure_days,
            toUInt32(greatest(today - bought_last, 0)) AS days_since_last_purchase,
            toUInt32(greatest(toInt32(days_until_now) - 1, 0)) AS repeat_occasions,
            if(days_until_now = 0, 0, toUInt32(occasions[days_until_now] - first_occasion)) AS recency_days,
            toUInt32(today - if(days_until_now = 0, first_day, toInt32(occasions[days_until_now]))) AS silence_days,
            (usual_gap_weight * usual_gap_days + recency_days) / (usual_gap_weight + repeat_occasions) AS own_gap_days,
            silence_days / own_gap_days AS silence_in_gaps,
            has(kinds_in_force, 'contractual') AS under_contract,
            multiIf(
                repeat_occasions = 0 AND silence_in_gaps < rest_at_gaps, 'new',
                under_contract, 'active',
                silence_in_gaps >= lapse_at_gaps, 'lapsed',
                silence_in_gaps >= rest_at_gaps, 'at rest',
                'active') AS lifecycle,
            toBool(tenure_days >= long_standing_days) AS long_standing,
            if(
                purchases = 0 OR NOT hasAll(typical.1, mapKeys(spent)),
                NULL,
                arraySum((code, amount) -> toFloat64(amount) / typical.2[indexOf(typical.1, code)], mapKeys(spent), mapValues(spent)) / purchases) AS basket_ratio,
            if(days_in_year < frequent_occasions, false, basket_ratio >= large_basket_ratio) AS regular,
            toUInt32(deliveries_on_time + countEqual(verdicts, 'kept')) AS promises_kept,
            toUInt32(deliveries_late + countEqual(verdicts, 'late')) AS promises_late,
            toUInt32(countEqual(verdicts, 'missed')) AS promises_missed,
            toUInt32(countEqual(verdicts, 'open')) AS promises_open,
            if(lifecycle = 'new', NULL, free_days_in_year / (free_days_in_year + half_repurchase)) AS unprompted_repurchase,
            if(nps IS NULL, if(referrals > 0, 1.0, NULL), nps / 10) AS recommendation,
            if(repeats_in_year = 0, NULL, free_days_in_year / repeats_in_year) AS full_price_share,
            isNotNull(unprompted_repurchase) + isNotNull(recommendation) + isNotNull(full_price_share) + isNotNull(ease_known) AS parts_known,
            ifNull(unprompted_repurchase, 0) + ifNull(recommendation, 0) + ifNull(full_price_share, 0) + ifNull(ease_known, 0) AS parts_sum,
            if(
                parts_known = 0,
                NULL,
                greatest(0., parts_sum / parts_known - least(broken_promises_most, (promises_late + promises_missed) * broken_promise))) AS attachment,
            toBool(notEmpty(forced_ends) AND ifNull(attachment < low_attachment, false)) AS captive,
            ifNull(satisfied_by >= satisfied_from AND toUnixTimestamp64Milli(moment) - toUnixTimestamp64Milli(latest_satisfaction_at) <= satisfaction_days * 86400000, false) AS satisfied
        FROM known
    )
SELECT
    customer_id,
    moment AS loyalty_at,
    lifecycle,
    multiIf(
        regular IS NULL, NULL,
        regular AND long_standing, 'long-standing regular',
        regular, 'regular, not long-standing',
        long_standing, 'long-standing, not regular',
        'neither regular nor long-standing') AS quadrant,
    regular,
    long_standing,
    tenure_days,
    days_in_year AS occasions_in_year,
    basket_ratio,
    purchases,
    repeat_occasions,
    recency_days,
    silence_days,
    own_gap_days,
    silence_in_gaps,
    days_since_last_purchase,
    mapFromArrays(currencies, arrayMap(code -> spent[code] - refunded[code], currencies)) AS net_spent,
    if(purchases = 0, 0., incentivised / purchases) AS incentivised_share,
    free_days AS full_price_repeats,
    programme_member,
    if(programme_member IS NULL OR purchases = 0, NULL, member_purchases / purchases) AS member_share,
    arrayCount(since -> since > became_customer_at AND since <= moment, category_since) AS cross_sold,
    nullIf(referred_by, '') AS referred_by,
    referrals,
    promises_kept,
    promises_late,
    promises_missed,
    promises_open,
    kinds_in_force AS bound_by,
    attachment,
    unprompted_repurchase,
    recommendation,
    full_price_share,
    ease_known AS ease,
    captive,
    if(empty(forced_ends) OR arrayExists(ends_at -> ends_at IS NULL, forced_ends), NULL, arrayMax(forced_ends)) AS released_at,
    if(empty(notices), NULL, arrayMin(notices)) AS next_notice_by,
    satisfied_by AS satisfaction,
    intent AS repurchase_intent,
    if(
        satisfied,
        arrayFilter(risk -> risk != '', [
            if(lifecycle IN ('at rest', 'lapsed'), lifecycle, ''),
            if(ifNull(nps <= 6, false), 'would not recommend us', ''),
            if(ifNull(intent < would_return_from, false), 'would not buy again', ''),
            if(captive, 'captive', ''),
            if(open_alerts > 0, 'open alert', '')]),
        []) AS satisfied_but_at_risk,
    nullIf(consent, '') AS survey_consent,
    toBool(ifNull(consent_at <= moment, false) AND consent IN ('granted', 'existing_customer')) AS may_survey,
    version_of_norms AS norms_version,
    'loyalty-1' AS definition_version
FROM measured
COMMENT 'The loyalty state of everybody who has bought by a moment, as far as it is known now: customer_loyalty_at(at = \'2026-03-01\')';

CREATE OR REPLACE VIEW customer_loyalty
(
    customer_id String COMMENT 'The customer',
    loyalty_at DateTime64(3, 'UTC') COMMENT 'The moment of which all the rest is said',
    lifecycle String COMMENT 'Where in their life with us a customer is, by their own rhythm: prospect, new, active, at rest or lapsed. (definition 1)',
    quadrant Nullable(String) COMMENT 'Regular against long-standing: which of the four a customer is. (definition 1)',
    regular Nullable(Bool) COMMENT 'Buys often and not only for small change: on 6 days or more within the last 365, with a mean purchase of at least half a typical one. Tenure has no part in it. Empty where it is not known what a typical purchase is. (definition 1)',
    long_standing Bool COMMENT 'First bought 365 days ago or longer. Says nothing about how often. (definition 1)',
    tenure_days UInt32 COMMENT 'Days since the first purchase. (days; definition 1)',
    occasions_in_year UInt32 COMMENT 'Days with a voluntary purchase within the last 365 days. (days; definition 1)',
    basket_ratio Nullable(Float64) COMMENT 'The mean purchase, measured in typical purchases (the median) of its currency. (definition 1)',
    purchases UInt32 COMMENT 'Purchases of any kind, refunds not counted. Frequency in RFM. (definition 1)',
    repeat_occasions UInt32 COMMENT 'Days with a voluntary purchase after the first such day; x in the literature. (days; definition 1)',
    recency_days UInt32 COMMENT 'Days from the first to the last voluntary purchase; t_x in the literature. (days; definition 1)',
    silence_days UInt32 COMMENT 'Days since the last voluntary purchase, or since the first purchase. (days; definition 1)',
    own_gap_days Float64 COMMENT 'How many days usually lie between two purchases of this customer: the mean of their own gaps and of one usual gap of all customers, which counts less the more gaps of their own there are. (days; definition 1)',
    silence_in_gaps Float64 COMMENT 'The silence in multiples of the customer\'s own gap. (definition 1)',
    days_since_last_purchase UInt32 COMMENT 'Days since the last purchase of any kind. Recency in RFM. (days; definition 1)',
    net_spent Map(String, Decimal(38, 4)) COMMENT 'What was paid less what was paid back, by currency. Monetary value in RFM. (money; definition 1)',
    incentivised_share Float64 COMMENT 'Share of purchases with a coupon or discount. (0 to 1; definition 1)',
    full_price_repeats UInt32 COMMENT 'Repeat occasions on which nothing was bought with an incentive: repeat_occasions without incentives. (days; definition 1)',
    programme_member Nullable(Bool) COMMENT 'In the loyalty programme, by the newest purchase that says so. (definition 1)',
    member_share Nullable(Float64) COMMENT 'Share of purchases made as a member of the programme. (0 to 1; definition 1)',
    cross_sold UInt32 COMMENT 'Categories the customer bought first after their first purchase. (definition 1)',
    referred_by Nullable(String) COMMENT 'The customer who recommended us to this one, by their first word on it. (definition 1)',
    referrals UInt64 COMMENT 'Customers whose purchases name this one as the one who recommended us. Counted in the warehouse, because the events that say so are those of the others. (definition 1)',
    promises_kept UInt32 COMMENT 'Promised call backs, answers and deliveries that came in time. They raise nothing: that is what was owed. (definition 1)',
    promises_late UInt32 COMMENT 'Promised call backs, answers and deliveries that came late. (definition 1)',
    promises_missed UInt32 COMMENT 'Promised call backs and answers that are overdue with no sign of them, the matter not settled by then. (definition 1)',
    promises_open UInt32 COMMENT 'Promised call backs and answers that are not due yet. (definition 1)',
    bound_by Array(String) COMMENT 'The kinds of what binds the customer now: of each kind what was said last. (definition 1)',
    attachment Nullable(Float64) COMMENT 'How attached a customer is of their own will: the mean of what is known of unprompted repurchase, recommendation, full-price share and ease, less 0.1 for each broken promise (0.3 at most). Satisfaction and purchases under obligation have no part in it. (0 to 1; definition 1)',
    unprompted_repurchase Nullable(Float64) COMMENT 'n / (n + 2), where n is the repeat days within the last 365 with neither obligation nor incentive; empty for a new customer, who had no occasion yet. (0 to 1; definition 1)',
    recommendation Nullable(Float64) COMMENT 'The newest answer to \'would you recommend us\', over 10; 1 where nothing was said but somebody was referred. (0 to 1; definition 1)',
    full_price_share Nullable(Float64) COMMENT 'Share of the repeat days within the last 365 without an incentive. (0 to 1; definition 1)',
    ease Nullable(Float64) COMMENT 'The newest effort answer, 1 is effortless: (5 - s) / 4 of CES 1, (s - 1) / 6 of CES 2. (0 to 1; definition 1)',
    captive Bool COMMENT 'Bound by force (contractual, technical, economic, situational) with an attachment below 0.4: latent churn, released when what binds ends. A risk, never loyalty. (definition 1)',
    released_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the last binding by force ends; empty: none holds, or no end is known. (time; definition 1)',
    next_notice_by Nullable(DateTime64(3, 'UTC')) COMMENT 'The next last moment to give notice of a contract in force. (time; definition 1)',
    satisfaction Nullable(Float64) COMMENT 'The newest answer about satisfaction, as a share of its scale. It is about the past and is never added to loyalty; 180 days later it says nothing about now. (0 to 1; definition 1)',
    repurchase_intent Nullable(Float64) COMMENT 'The newest answer to \'would you buy again\', as a share of its scale. (0 to 1; definition 1)',
    satisfied_but_at_risk Array(String) COMMENT 'Why a customer who was satisfied within the last 180 days (3/4 of the scale or more) is at risk: at rest or lapsed, would not recommend us, would not buy again, captive, or an open alert. (definition 1)',
    survey_consent LowCardinality(Nullable(String)) COMMENT 'Whether the customer agreed to be asked: granted, withdrawn, existing_customer, or empty: nobody knows. Their own newest word counts; a no outlasts a claimed exception. (definition 1)',
    may_survey Bool COMMENT 'A survey may be sent: consent, or a customer under the exception. (definition 1)',
    norms_version String COMMENT 'Version of the figures the loyalty state rests on that are not the customer\'s own. (definition 1)',
    definition_version String COMMENT 'Version of these definitions, all of them'
)
AS SELECT * FROM customer_loyalty_at(at = now64(3, 'UTC'))
COMMENT 'The loyalty state of every customer now; prospects have none';

CREATE TABLE customer_state_history AS customer_states
ENGINE = MergeTree
PARTITION BY least(greatest(toYear(_appended_at), 2000), 2090)
ORDER BY (customer_id, _offset)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1
COMMENT 'Every state of every customer that the sink saw: what was known when; read the view customers_known_at';

CREATE MATERIALIZED VIEW customer_state_recorded TO customer_state_history
AS SELECT * FROM customer_states
COMMENT 'Every state that is written, into the history';

CREATE OR REPLACE VIEW audit_places
(
    `table` String COMMENT 'The table',
    keeps_all Bool COMMENT 'It keeps a row per record; the others keep the newest row per key',
    topic String COMMENT 'Topic of the record',
    partition UInt16 COMMENT 'Partition of the record',
    place UInt64 COMMENT 'Offset of the record'
)
AS
SELECT 'raw_purchases' AS `table`, true AS keeps_all, _topic AS topic, _partition AS partition, _offset AS place FROM raw_purchases
UNION ALL SELECT 'raw_service_contacts', true, _topic, _partition, _offset FROM raw_service_contacts
UNION ALL SELECT 'raw_survey_responses', true, _topic, _partition, _offset FROM raw_survey_responses
UNION ALL SELECT 'raw_alert_outcomes', true, _topic, _partition, _offset FROM raw_alert_outcomes
UNION ALL SELECT 'alert_messages', true, _topic, _partition, _offset FROM alert_messages
UNION ALL SELECT 'alert_states', false, _topic, _partition, _offset FROM alert_states
UNION ALL SELECT 'customer_states', false, _topic, _partition, _offset FROM customer_states
UNION ALL SELECT 'customer_state_history', true, _topic, _partition, _offset FROM customer_state_history
UNION ALL SELECT 'dead_letters', false, _topic, _partition, _offset FROM dead_letters
COMMENT 'Every row of every table by its place in the log';

CREATE OR REPLACE VIEW customer_states_known_at AS
WITH
    {at:DateTime64(3, 'UTC')} AS moment,
    records AS
    (
        SELECT * FROM customer_state_history WHERE _appended_at <= moment
        UNION ALL
        SELECT * FROM customer_states FINAL WHERE _appended_at <= moment
    ),
    newest AS (SELECT customer_id, max(_offset) FROM records GROUP BY customer_id)
SELECT *
FROM records
WHERE (customer_id, _offset) IN newest AND NOT deleted AND customer_id IN (SELECT customer_id FROM customer_states FINAL)
LIMIT 1 BY customer_id
COMMENT 'The whole state of every customer as it was known at a moment; nobody who was erased since';

CREATE OR REPLACE VIEW customers_known_at AS
SELECT
    customer_id, prospect, first_purchase_at, last_purchase_at, purchases, refunds, incentivised, obligated,
    repeat_occasions, recency_days, spent, refunded, channels, categories, contact_events, open_issues, survey_answers,
    latest_nps, latest_ease, open_alerts, last_event_at, events, synthetic_events, _appended_at AS known_since
FROM customer_states_known_at(at = {at:DateTime64(3, 'UTC')})
COMMENT 'Every customer as we knew them at a moment: customers_known_at(at = \'2026-03-01\'); nobody who was erased since';
