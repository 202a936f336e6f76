-- The shop's wall clock, as common table expressions of a statement over `movements`.
-- Where clocks move is known to analytics/periods.py alone: the days are handed over in stretches of
-- one local day with one offset from UTC, in order, each with what a dimension may ask of it. Seconds
-- are of the Unix epoch. A movement finds its stretch by the hour of UTC it is in, which few share.
stretches AS (
    SELECT
        stretch.first_second, stretch.next_second, stretch.offset_seconds, stretch.bucket,
        stretch.bucket_second, stretch.weekday
    FROM UNNEST($stretches) AS of_days (stretch)
),
clock AS (
    SELECT hours.utc_hour, stretches.*
    FROM UNNEST(GENERATE_SERIES($first_hour, $last_hour)) AS hours (utc_hour)
    JOIN stretches
        ON stretches.first_second < (hours.utc_hour + 1) * 3600
        AND stretches.next_second > hours.utc_hour * 3600
)
