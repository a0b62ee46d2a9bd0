//! One field, several prompts: "left lung, heart" asks for two things.

use std::collections::BTreeSet;

use crate::clean::{clean, is_empty_prompt};

/// The prompts in a text, separated by commas: trimmed, without empty ones, each once (whatever its case), in order.
#[must_use]
pub fn split_prompts(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let visible = |c: &char| !is_zero_width(*c);
    let words = |prompt: &str| {
        let prompt: String = prompt.chars().filter(visible).collect();
        prompt.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    text.split(',')
        .map(words)
        .filter(|prompt| !is_empty_prompt(prompt) && seen.insert(clean(prompt)))
        .collect()
}

/// Characters that nobody sees and that come along with pasted text.
fn is_zero_width(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::split_prompts;

    #[test]
    fn commas_separate_and_repetitions_go() {
        assert_eq!(
            split_prompts(" left lung,heart ,, Left  Lung,\tLiver"),
            ["left lung", "heart", "Liver"]
        );
        assert!(split_prompts(" , ,").is_empty());
        assert!(split_prompts("").is_empty());
        assert_eq!(split_prompts("left\u{a0} lu\u{200b}ng"), ["left lung"]);
        assert!(split_prompts("\u{200b}, ... ,\u{feff}").is_empty());
    }
}
