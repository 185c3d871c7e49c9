-- What was left since then; by the key, so that what was deleted before is not looked at.
SELECT place, submission FROM asked WHERE place > $1::bigint ORDER BY place
