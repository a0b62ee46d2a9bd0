//! One field, several prompts: "left lung, heart" asks for two things.

/// The prompts in a text, separated by commas: trimmed, without empty ones, each once (whatever its case), in order.
#[must_use]
pub fn split_prompts(text: &str) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let words = |prompt: &str| prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(',')
        .map(words)
        .filter(|prompt| !prompt.is_empty() && seen.insert(prompt.to_lowercase()))
        .collect()
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
    }
}
