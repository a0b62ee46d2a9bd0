//! Reads passed, failed and skipped tests out of the output of cargo test and of Node's test runner.
//!
//! Rust's test runner knows no skip at run time: by this project's convention a test that cannot run prints a line
//! that starts with `skipped:` and gives the reason, and returns. It is then counted as skipped, not as passed.

/// A test that did not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Name of the test, or of the step.
    pub name: String,
    /// What was missing.
    pub reason: String,
}

/// Results of one or more runs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and held.
    pub passed: usize,
    /// Tests that ran and did not hold, and runs that broke off.
    pub failed: usize,
    /// Tests that did not run.
    pub skipped: Vec<Skip>,
}

impl Counts {
    /// One thing that held.
    pub fn one_passed() -> Self {
        Self {
            passed: 1,
            ..Self::default()
        }
    }

    /// One thing that did not hold.
    pub fn one_failed() -> Self {
        Self {
            failed: 1,
            ..Self::default()
        }
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

/// Counts of `cargo test -- --show-output`: sums over all its test programs.
pub fn of_cargo_test(lines: &[String]) -> Counts {
    let mut counts = Counts::default();
    let mut said_skipped = 0;
    // Output of the test whose block we are in: "---- name stdout ----" up to the next block or the list of names.
    let mut current: Option<&str> = None;
    for line in lines {
        let line = line.trim_end();
        if let Some(totals) = line.strip_prefix("test result: ") {
            counts.passed += number_before(totals, " passed");
            counts.failed += number_before(totals, " failed");
            current = None;
        } else if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            current = Some(name);
        } else if line == "successes:" || line == "failures:" {
            current = None;
        } else if let Some((name, reason)) = ignored(line) {
            counts.skipped.push(Skip {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
        } else if let (Some(name), Some(reason)) = (current, skip_reason(line)) {
            // One test, one skip, however much it prints. The runner's own totals have it among the passed.
            counts.skipped.push(Skip {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
            said_skipped += 1;
            current = None;
        }
    }
    counts.passed = counts.passed.saturating_sub(said_skipped);
    counts
}

/// "test name ... ignored, reason"
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, rest.strip_prefix(", ").unwrap_or("marked as ignored")))
}

fn skip_reason(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let word = line.get(..8)?;
    word.eq_ignore_ascii_case("skipped:")
        .then(|| line[8..].trim())
}

/// Counts of `node --test`, in its TAP or its spec form.
pub fn of_node_test(lines: &[String]) -> Counts {
    let mut counts = Counts::default();
    for line in lines {
        let line = line.trim();
        if let Some(total) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            counts.passed += number_after(total, "pass ");
            counts.failed += number_after(total, "fail ") + number_after(total, "cancelled ");
        } else if let Some(skip) = node_skip(line) {
            counts.skipped.push(skip);
        }
    }
    counts
}

/// "ok 3 - name # SKIP reason" or "﹣ name (0.1ms) # reason"
fn node_skip(line: &str) -> Option<Skip> {
    if let Some(rest) = line.strip_prefix("ok ") {
        let (name, reason) = rest.split_once(" # SKIP")?;
        let name = name.split_once(" - ").map_or(name, |(_, name)| name);
        return Some(Skip {
            name: name.trim().to_owned(),
            reason: reason.trim().to_owned(),
        });
    }
    let (name, reason) = line.strip_prefix('﹣')?.split_once(" # ")?;
    let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
    Some(Skip {
        name: name.trim().to_owned(),
        reason: reason.trim().to_owned(),
    })
}

/// The number in front of a word: "12" in "ok. 12 passed; 0 failed".
fn number_before(text: &str, word: &str) -> usize {
    text.split(word)
        .next()
        .and_then(|start| start.rsplit([' ', ';']).next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// The number after a word at the start of a line, 0 if it does not start so.
fn number_after(text: &str, word: &str) -> usize {
    text.strip_prefix(word)
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn skip(name: &str, reason: &str) -> Skip {
        Skip {
            name: name.into(),
            reason: reason.into(),
        }
    }

    #[test]
    fn cargo_test_is_added_up_over_programs() {
        // Output of cargo 1.95 on three small programs.
        let output = lines(
            "running 2 tests\ntest a ... ok\ntest b ... ok\n\nsuccesses:\n\nsuccesses:\n    a\n    b\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
             running 3 tests\ntest c ... ok\ntest d ... FAILED\ntest e ... ignored, needs a week\n\nfailures:\n\n---- d stdout ----\nboom\n\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 1.00s\n",
        );
        let counts = of_cargo_test(&output);
        assert_eq!((counts.passed, counts.failed), (3, 1));
        assert_eq!(counts.skipped, [skip("e", "needs a week")]);
    }

    #[test]
    fn a_test_that_says_it_was_skipped_has_not_passed() {
        let output = lines(
            "running 3 tests\ntest x ... ok\ntest y ... ok\ntest z ... ok\n\nsuccesses:\n\n---- x stdout ----\nskipped: MEDSAM3_SHARED is not set\nskipped: twice\n\n\
             ---- y stdout ----\nworking, nothing skipped: really\n\n\nsuccesses:\n    x\n    y\n    z\n\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        let counts = of_cargo_test(&output);
        assert_eq!((counts.passed, counts.failed), (2, 0));
        assert_eq!(counts.skipped, [skip("x", "MEDSAM3_SHARED is not set")]);
    }

    #[test]
    fn node_test_is_read_in_both_forms() {
        let tap = lines(
            "TAP version 13\nok 1 - opens # SKIP no adapter\nok 2 - closes\n# tests 3\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 1\n",
        );
        let spec = lines(
            "✔ closes (1.2ms)\n﹣ opens (0.1ms) # no adapter\nℹ tests 3\nℹ pass 1\nℹ fail 1\nℹ cancelled 0\nℹ skipped 1\n",
        );
        for counts in [of_node_test(&tap), of_node_test(&spec)] {
            assert_eq!((counts.passed, counts.failed), (1, 1));
            assert_eq!(counts.skipped, [skip("opens", "no adapter")]);
        }
    }
}
