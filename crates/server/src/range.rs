//! Which `Range` headers count (RFC 9110, section 14): one range of bytes. Any other is passed over, and the whole
//! file is the answer, as the standard allows; `ServeDir` would refuse it.

/// Whether the header is one range of bytes: `bytes=3-5`, `bytes=3-` or, the last five, `bytes=-5`.
pub fn is_single_range(header: &str) -> bool {
    let Some((first, last)) = bounds(header) else {
        return false;
    };
    match (first.is_empty(), last.is_empty()) {
        (true, true) => false,
        (true, false) => number(last).is_some(),
        (false, true) => number(first).is_some(),
        (false, false) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    }
}

/// Whether the header asks for the last bytes, at least one of them: of a shorter file that is all of it.
pub fn is_suffix(header: &str) -> bool {
    bounds(header).is_some_and(|(first, last)| first.is_empty() && number(last) > Some(0))
}

fn bounds(header: &str) -> Option<(&str, &str)> {
    header.strip_prefix("bytes=")?.split_once('-')
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_counts_and_nothing_else() {
        for counts in [
            "bytes=0-",
            "bytes=3-5",
            "bytes=3-500",
            "bytes=-4",
            "bytes=-0",
        ] {
            assert!(is_single_range(counts), "{counts}");
        }
        for passed_over in [
            "",
            "bytes=-",
            "bytes=5-3",
            "bytes=0-1,3-4",
            "lines=0-",
            "bytes=a-",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
        ] {
            assert!(!is_single_range(passed_over), "{passed_over}");
        }
    }

    #[test]
    fn only_the_last_bytes_are_a_suffix() {
        assert!(is_suffix("bytes=-4"));
        assert!(!is_suffix("bytes=-0"));
        assert!(!is_suffix("bytes=4-"));
    }
}
