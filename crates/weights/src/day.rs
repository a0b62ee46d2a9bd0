//! The day of writing, for the provenance of a model folder.

use std::time::{SystemTime, UNIX_EPOCH};

/// The day by the system's clock, UTC, `YYYY-MM-DD` (days to civil date after Richards, proleptic Gregorian).
#[must_use]
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    let day = seconds.map_or(0, |since| since.as_secs() / 86_400);
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let julian_day = days_since_1970 + 2_440_588;
    let f = julian_day + 1401 + (4 * julian_day + 274_277) / 146_097 * 3 / 4 - 38;
    let e = 4 * f + 3;
    let h = 5 * (e % 1461 / 4) + 2;
    let day = h % 153 / 5 + 1;
    let month = (h / 153 + 2) % 12 + 1;
    let year = e / 1461 - 4716 + (12 + 2 - month) / 12;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @SECONDS +%F` of coreutils.
    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_088, (2024, 12, 31)),
            (20_089, (2025, 1, 1)),
        ] {
            assert_eq!(civil(days), expected, "{days}");
        }
    }
}
