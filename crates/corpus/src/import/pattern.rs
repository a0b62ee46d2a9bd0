//! Path patterns of a manifest: `{name}` is a named part of a file or folder name, `*` any part of one, `**/` any folders.
//! Paths are relative to the source folder, with `/`.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::{Regex, escape};

/// Named parts of a path, such as `id` and `subject`.
pub(super) type Groups = BTreeMap<String, String>;

/// A pattern ready to be matched.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Name of every capture, in order; a name that comes again must stand for the same text.
    names: Vec<String>,
    /// What every match begins with.
    prefix: String,
}

impl Pattern {
    /// Compiles `text`; groups that `known` holds stand for their text.
    ///
    /// # Errors
    /// An unclosed brace, a name with other characters than letters, digits and `_`.
    pub(super) fn new(text: &str, known: &Groups) -> Result<Self, String> {
        let (mut regex, mut prefix, mut certain) = (String::from("^"), String::new(), true);
        let (mut names, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let literal = if let Some(after) = rest.strip_prefix("**/") {
                regex.push_str("(?:.*/)?");
                (None, after)
            } else if let Some(after) = rest.strip_prefix('*') {
                regex.push_str("[^/]*");
                (None, after)
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = group_name(text, after)?;
                if let Some(value) = known.get(name) {
                    (Some(value.as_str()), after)
                } else {
                    names.push(name.to_owned());
                    regex.push_str("([^/]+?)");
                    (None, after)
                }
            } else {
                let (literal, after) = rest.split_at(rest.find(['*', '{']).unwrap_or(rest.len()));
                (Some(literal), after)
            };
            match literal.0 {
                Some(text) => {
                    // The ending of a name counts in any case: cameras write `.JPG` among `.jpg`.
                    let ending = if literal.1.is_empty() {
                        ending(text)
                    } else {
                        text.len()
                    };
                    let (start, end) = text.split_at(ending);
                    regex.push_str(&escape(start));
                    if !end.is_empty() {
                        regex.push_str(&format!("(?i:{})", escape(end)));
                    }
                    if certain {
                        prefix.push_str(start);
                    }
                }
                None => certain = false,
            }
            rest = literal.1;
        }
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|error| format!("`{text}`: {error}"))?;
        Ok(Self {
            regex,
            names,
            prefix,
        })
    }

    /// The named parts of `path`, where it fits.
    pub(super) fn groups(&self, path: &str) -> Option<Groups> {
        let captures = self.regex.captures(path)?;
        let mut groups = Groups::new();
        for (at, name) in self.names.iter().enumerate() {
            let value = captures.get(at + 1)?.as_str();
            let first = groups
                .entry(name.clone())
                .or_insert_with(|| value.to_owned());
            if first != value {
                return None;
            }
        }
        Some(groups)
    }

    /// The files that fit, in their order.
    pub(super) fn find<'a>(
        &'a self,
        files: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = (&'a str, Groups)> {
        files
            .range(self.prefix.clone()..)
            .take_while(|path| path.starts_with(&self.prefix))
            .filter_map(|path| Some((path.as_str(), self.groups(path)?)))
    }
}

/// Where the ending of a file name begins, such as `.nii.gz`.
fn ending(literal: &str) -> usize {
    let name = literal.rfind('/').map_or(0, |slash| slash + 1);
    let dot = literal.get(name..).and_then(|name| name.find('.'));
    dot.map_or(literal.len(), |dot| name + dot)
}

fn group_name<'a>(text: &str, after: &'a str) -> Result<(&'a str, &'a str), String> {
    let (name, after) = after
        .split_once('}')
        .ok_or_else(|| format!("`{text}`: a brace is not closed"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!(
            "`{text}`: `{{{name}}}` is not a name of letters, digits and _"
        ));
    }
    Ok((name, after))
}

/// `template` with every `{name}` replaced.
///
/// # Errors
/// A name that `groups` does not hold.
pub(super) fn fill(template: &str, groups: &Groups) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = group_name(template, after)?;
        let value = groups.get(name);
        filled.push_str(literal);
        filled.push_str(
            value.ok_or_else(|| format!("`{template}`: the image's path has no {{{name}}}"))?,
        );
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::new(pattern, &Groups::new()).expect("a pattern");
        Some(pattern.groups(path)?.into_iter().collect())
    }

    #[test]
    fn names_stand_for_parts_of_names() {
        let found = groups(
            "data_C{c}/images_C{c}/{id}.jpg",
            "data_C1/images_C1/a.b (2).jpg",
        );
        let own = |list: &[(&str, &str)]| {
            Some(
                list.iter()
                    .map(|(a, b)| ((*a).into(), (*b).into()))
                    .collect::<Vec<(String, String)>>(),
            )
        };
        assert_eq!(found, own(&[("c", "1"), ("id", "a.b (2)")]));
        assert_eq!(
            groups("data_C{c}/images_C{c}/{id}.jpg", "data_C1/images_C2/a.jpg"),
            None
        );
        assert_eq!(
            groups("{id}.png", "folder/a.png"),
            None,
            "a name is of one folder"
        );
        assert_eq!(groups("**/{id}.png", "b/c/a.png"), own(&[("id", "a")]));
        assert_eq!(groups("**/{id}.png", "a.png"), own(&[("id", "a")]));
        assert_eq!(
            groups("{subject}_*/{id}.tif", "7_x/1.tif"),
            own(&[("id", "1"), ("subject", "7")])
        );
        assert!(Pattern::new("a{b", &Groups::new()).is_err());
        assert!(Pattern::new("a{b c}", &Groups::new()).is_err());
    }

    #[test]
    fn masks_are_found_by_the_parts_of_their_image() {
        let files: BTreeSet<String> = [
            "m/a (1)_mask.png",
            "m/a (1)_mask_1.png",
            "m/a (10)_mask.png",
            "x/y.png",
        ]
        .map(String::from)
        .into();
        let known = Groups::from([("id".to_owned(), "a (1)".to_owned())]);
        let pattern = Pattern::new("m/{id}_mask*.png", &known).expect("a pattern");
        let found: Vec<&str> = pattern.find(&files).map(|(path, _)| path).collect();
        assert_eq!(found, ["m/a (1)_mask.png", "m/a (1)_mask_1.png"]);
        assert_eq!(fill("s-{id}", &known).as_deref(), Ok("s-a (1)"));
        assert!(fill("{other}", &known).is_err());
    }
}
