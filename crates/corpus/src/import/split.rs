//! Which subject belongs to which part: by a named part of the path, and by shares of what is left, drawn by a hash of the
//! subject's name, so that the same files always give the same split.

use std::collections::{BTreeMap, BTreeSet};

use medsam3_weights::sha256_hex;

use super::manifest::SplitRule;
use crate::Split;

/// The part of every subject; `named` holds what the paths say.
///
/// Shares are taken of the subjects that are not named, or named `train`: the first by hash go to `test`, the next to `val`. A share
/// above 0 takes at least one subject where three or more are there.
pub(super) fn assign(
    dataset: &str,
    rule: &SplitRule,
    named: &BTreeMap<String, Option<Split>>,
) -> BTreeMap<String, Split> {
    let mut parts: BTreeMap<String, Split> = BTreeMap::new();
    let mut open: BTreeSet<(String, &str)> = BTreeSet::new();
    for (subject, part) in named {
        match part {
            Some(part @ (Split::Val | Split::Test)) => {
                parts.insert(subject.clone(), *part);
            }
            None | Some(Split::Train) => {
                let hash = sha256_hex(format!("{dataset}/{subject}").as_bytes());
                open.insert((hash, subject));
            }
        }
    }
    let count = open.len();
    let of = |share: f64| {
        let exact = (share * count as f64).round() as usize;
        let least = usize::from(share > 0.0 && count >= 3);
        exact.max(least)
    };
    let (test, val) = (of(rule.test), of(rule.val));
    for (at, (_, subject)) in open.into_iter().enumerate() {
        let part = match at {
            at if at < test => Split::Test,
            at if at < test + val => Split::Val,
            _ => Split::Train,
        };
        parts.insert(subject.to_owned(), part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(val: f64, test: f64) -> SplitRule {
        SplitRule {
            val,
            test,
            ..SplitRule::default()
        }
    }

    fn subjects(count: usize) -> BTreeMap<String, Option<Split>> {
        (0..count).map(|n| (format!("s{n}"), None)).collect()
    }

    fn counts(parts: &BTreeMap<String, Split>) -> [usize; 3] {
        [Split::Train, Split::Val, Split::Test]
            .map(|part| parts.values().filter(|p| **p == part).count())
    }

    #[test]
    fn shares_are_exact_and_the_same_every_time() {
        let all = subjects(50);
        let parts = assign("d", &rule(0.1, 0.2), &all);
        assert_eq!(counts(&parts), [35, 5, 10]);
        assert_eq!(assign("d", &rule(0.1, 0.2), &all), parts);
        assert_ne!(
            assign("e", &rule(0.1, 0.2), &all),
            parts,
            "another dataset, another draw"
        );
        assert_eq!(
            counts(&assign("d", &rule(0.1, 0.1), &subjects(4))),
            [2, 1, 1],
            "no share is empty"
        );
        // Without their order: SHA-256 of "d/s0" and so on decides, computed here by hand for three.
        let three = assign("d", &rule(0.0, 0.34), &subjects(3));
        let least = (0..3).min_by_key(|n| sha256_hex(format!("d/s{n}").as_bytes()));
        assert_eq!(three[&format!("s{}", least.expect("three"))], Split::Test);
    }

    #[test]
    fn what_the_path_names_stays() {
        let mut named = subjects(10);
        named.insert("official".into(), Some(Split::Test));
        for part in named.values_mut().filter(|part| part.is_none()) {
            *part = Some(Split::Train);
        }
        let parts = assign("d", &rule(0.2, 0.0), &named);
        assert_eq!(counts(&parts), [8, 2, 1]);
        assert_eq!(parts["official"], Split::Test);
    }
}
