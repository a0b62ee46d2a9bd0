//! Which tests CI may leave out: the list under "Allowed skips" in `tests/README.md`.

use crate::counts::Skip;

/// The allowed skips: each is part of a test's name or of its reason.
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Reads the list items that start with a code span below the heading "Allowed skips".
    pub fn parse(readme: &str) -> Self {
        let section = readme
            .lines()
            .skip_while(|line| !is_heading(line, "allowed skips"))
            .skip(1);
        let items = section
            .take_while(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (pattern, _) = line
                    .strip_prefix("* `")
                    .or_else(|| line.strip_prefix("- `"))?
                    .split_once('`')?;
                (!pattern.is_empty()).then(|| pattern.to_owned())
            });
        Self(items.collect())
    }

    /// Whether CI may leave this out.
    pub fn covers(&self, skip: &Skip) -> bool {
        self.0
            .iter()
            .any(|pattern| skip.name.contains(pattern) || skip.reason.contains(pattern))
    }
}

fn is_heading(line: &str, title: &str) -> bool {
    line.starts_with('#')
        && line
            .trim_start_matches('#')
            .trim()
            .eq_ignore_ascii_case(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_list_under_its_heading_counts() {
        let readme = "# Tests\n\n* `elsewhere`: no\n\n## Allowed skips\n\nA sentence with `code`.\n\n* `golden`: 2 GB\n- `MEDSAM3_SHARED`: not here\n\n## Next\n\n* `later`: no\n";
        let allowed = Allowed::parse(readme);
        let skip = |name: &str, reason: &str| Skip {
            name: name.into(),
            reason: reason.into(),
        };
        assert!(allowed.covers(&skip("parity::golden_trunk", "")));
        assert!(allowed.covers(&skip("x", "MEDSAM3_SHARED is not set")));
        for name in ["elsewhere", "later", "code", "other"] {
            assert!(!allowed.covers(&skip(name, "")), "{name}");
        }
    }
}
