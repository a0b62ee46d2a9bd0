//! When an object was made, and the random bits of its UIDs (`2.25.` and a UUID as a number, PS3.5 B.2).
//! Handed in, so that a browser can give its own and a test the same ones again.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// Time and randomness of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    time: DateTime<Utc>,
    seed: [u8; 32],
}

impl Stamp {
    /// Of seconds since 1970 (UTC) and random bits, which must be new for every object.
    pub fn new(unix_seconds: i64, seed: [u8; 32]) -> Self {
        Self {
            time: DateTime::from_timestamp(unix_seconds, 0).unwrap_or_default(),
            seed,
        }
    }

    /// Of this moment, with random bits of the system.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] where the system has no random bits.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn now() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        Ok(Self::new(i64::try_from(seconds).unwrap_or_default(), seed))
    }

    /// `YYYYMMDD`.
    pub(super) fn date(&self) -> String {
        self.time.format("%Y%m%d").to_string()
    }

    /// `HHMMSS`.
    pub(super) fn time(&self) -> String {
        self.time.format("%H%M%S").to_string()
    }

    /// The UID of a part, the same for the same part.
    pub(super) fn uid(&self, part: &str) -> String {
        let seed: String = self.seed.iter().map(|byte| format!("{byte:02x}")).collect();
        uid_of(&[&seed, part])
    }
}

/// A UID that is the same for the same texts.
pub(super) fn uid_of(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut number = digest
        .iter()
        .take(16)
        .fold(0u128, |number, &byte| number << 8 | u128::from(byte));
    // Version 4, variant 1 (RFC 9562).
    number = number & !(0xF << 76) | 4 << 76;
    number = number & !(0b11 << 62) | 0b10 << 62;
    format!("2.25.{number}")
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn stamps_have_a_date_and_uids_of_their_own() {
        // `date -u -d @1700000000`: 2023-11-14 22:13:20.
        let stamp = Stamp::new(1_700_000_000, [7; 32]);
        assert_eq!(
            (stamp.date(), stamp.time()),
            ("20231114".into(), "221320".into())
        );
        assert_ne!(stamp.uid("series"), stamp.uid("instance"));
        let uid = stamp.uid("series");
        let number: u128 = uid.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert!(uid.len() <= 64);
        assert_eq!((number >> 76 & 0xF, number >> 62 & 0b11), (4, 0b10));
    }
}
