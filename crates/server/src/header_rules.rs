//! The response headers of `_headers`, in the format of Netlify and Cloudflare Pages: a path on a line of its own (a
//! trailing `*` matches any rest), below it indented `Name: value` lines; `#` begins a comment.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// All rules of a file, in its order.
#[derive(Debug, Default)]
pub struct HeaderRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderRules {
    /// Reads the file.
    ///
    /// # Errors
    /// The number of the first line that is not a path or a header, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules: Vec<Rule> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if !line.starts_with(char::is_whitespace) {
                rules.push(Rule {
                    path: content.to_owned(),
                    headers: Vec::new(),
                });
                continue;
            }
            let header = content.split_once(':').and_then(|(name, value)| {
                let name = HeaderName::try_from(name.trim()).ok()?;
                let value = HeaderValue::try_from(value.trim()).ok()?;
                Some((name, value))
            });
            match (rules.last_mut(), header) {
                (Some(rule), Some(header)) => rule.headers.push(header),
                (None, _) => return Err(format!("line {number} of _headers is under no path")),
                (_, None) => return Err(format!("line {number} of _headers is not a header")),
            }
        }
        Ok(Self(rules))
    }

    /// Sets the headers of a path; later rules replace earlier ones, and all of them what is there.
    pub fn set(&self, path: &str, headers: &mut HeaderMap) {
        for rule in self.0.iter().filter(|rule| rule.matches(path)) {
            for (name, value) in &rule.headers {
                headers.insert(name, value.clone());
            }
        }
    }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(path: &str) -> HeaderMap {
        let rules = HeaderRules::parse(include_str!("../../../public/_headers")).unwrap();
        let mut headers = HeaderMap::new();
        rules.set(path, &mut headers);
        headers
    }

    fn policy(path: &str) -> String {
        let headers = shipped(path);
        let policy = headers.get("content-security-policy");
        policy.map_or(String::new(), |policy| policy.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_page_has_one_strict_policy_under_both_of_its_addresses() {
        assert_eq!(policy("/"), policy("/index.html"));
        let policy = policy("/");
        let directives: Vec<&str> = policy.split("; ").collect();
        for expected in [
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self'",
            "style-src 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(directives.contains(&expected), "{expected} in {policy}");
        }
        for forbidden in ["http", "unsafe-inline", "'unsafe-eval'"] {
            assert!(!policy.contains(forbidden), "{forbidden} in {policy}");
        }
    }

    #[test]
    fn the_worker_has_no_network() {
        assert_eq!(
            policy("/app/worker.js"),
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'"
        );
    }

    #[test]
    fn the_worker_that_stores_models_reaches_the_pages_own_host_and_nothing_else() {
        assert_eq!(
            policy("/app/store.js"),
            "default-src 'none'; script-src 'self'; connect-src 'self'"
        );
    }

    #[test]
    fn every_file_gets_the_common_headers() {
        let common = shipped("/app/chunks/x.js");
        assert_eq!(common["x-content-type-options"], "nosniff");
        assert_eq!(common["cross-origin-opener-policy"], "same-origin");
        assert_eq!(common["cross-origin-embedder-policy"], "require-corp");
        assert_eq!(common.get("content-security-policy"), None);
    }

    #[test]
    fn later_rules_replace_earlier_ones() {
        let text = "# comment\n/*\n  A: 1\n  B: 1\n\n/x\n  A: 2\n";
        let rules = HeaderRules::parse(text).unwrap();
        let of = |path: &str| {
            let mut headers = HeaderMap::new();
            rules.set(path, &mut headers);
            (headers["a"].clone(), headers["b"].clone())
        };
        assert_eq!(of("/x"), ("2".parse().unwrap(), "1".parse().unwrap()));
        assert_eq!(of("/y"), ("1".parse().unwrap(), "1".parse().unwrap()));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_not_passed_over() {
        let wrong = HeaderRules::parse("/*\n  A: 1\n  no header\n").unwrap_err();
        assert!(wrong.contains("line 3"), "{wrong}");
        let wrong = HeaderRules::parse("  A: 1\n").unwrap_err();
        assert!(wrong.contains("line 1"), "{wrong}");
    }
}
