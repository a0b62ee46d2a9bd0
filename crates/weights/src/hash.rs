//! SHA-256 as lower-case hexadecimal, in one go or chunk by chunk.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut running = RunningHash::default();
    running.update(bytes);
    running.finish()
}

/// A hash fed chunk by chunk, so that a shard need not be in memory.
#[derive(Default)]
pub struct RunningHash(Sha256);

impl RunningHash {
    /// Takes the next bytes.
    pub fn update(&mut self, chunk: &[u8]) {
        self.0.update(chunk);
    }

    /// SHA-256 of all bytes taken, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two examples of FIPS 180-2, appendix B.
    #[test]
    fn the_published_examples() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            sha256_hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }
}
