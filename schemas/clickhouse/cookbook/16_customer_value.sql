-- How often is each customer expected to buy in the next one, two and three years, and what is that worth?
-- Expected purchases (E[Y], BG/NBD) and value (times the expected basket, Gamma-Gamma; no discounting, no margin) by the newest
-- recorded purchase model. Customers bound by contract have none: look at the end of the contract instead. Baskets are days with
-- purchases, so it reads all raw purchases.
-- at = answer moment: now, or the newest event where that is older than two days
-- needs customers: nobody has bought anything yet
-- needs current_purchase_model: no purchase model is recorded; loyalty fit purchases --out fit, then loyalty warehouse parameters fit/parameters.json
SELECT customer_id,
       expected_purchases_1_year,
       expected_purchases_2_years,
       expected_purchases_3_years,
       expected_value_1_year,
       expected_value_2_years,
       expected_value_3_years,
       currency,
       note,
       model_version,
       'expected_purchases 1, expected_value 1' AS definition_version
FROM customer_outlook_at(at = {at:DateTime64(3, 'UTC')})
WHERE model_version IS NOT NULL
ORDER BY expected_purchases_1_year DESC NULLS LAST, customer_id
