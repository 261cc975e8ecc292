//! A moment as somebody types it.

use anyhow::bail;

/// RFC 3339, or the beginning of a day in a time zone, in Unix milliseconds.
pub(super) fn moment(text: &str, zone: &str) -> anyhow::Result<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.as_millisecond());
    }
    let day: Option<jiff::civil::Date> = if text.len() == 10 { text.parse().ok() } else { None };
    match day.and_then(|day| day.in_tz(zone).ok()) {
        Some(midnight) => Ok(midnight.timestamp().as_millisecond()),
        None => bail!("{text:?} is neither a date such as 2026-01-31 nor a moment such as 2026-01-31T08:15:00Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_in_the_providers_zone() {
        assert_eq!(moment("2026-01-31T08:15:00.250Z", "UTC").unwrap(), 1_769_847_300_250);
        assert_eq!(moment("2026-01-31T02:15:00.250-06:00", "UTC").unwrap(), 1_769_847_300_250);
        let day = 86_400_000;
        assert_eq!(moment("2026-01-31", "UTC").unwrap() % day, 0);
        assert_eq!(moment("2026-01-31", "America/Chicago").unwrap() % day, day / 4);
        for text in ["yesterday", "2026-02-30", "2026-01", ""] {
            assert!(moment(text, "UTC").is_err(), "{text}");
        }
    }
}
