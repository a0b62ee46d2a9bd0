//! Which prompts certainly find nothing in a dataset, and which change their meaning under a mirror.

use crate::config::DataConfig;
use medsam3_corpus::Dataset;

/// Whether mirroring would change what a prompt means.
pub(crate) fn names_a_side(prompt: &str) -> bool {
    prompt
        .split_whitespace()
        .any(|word| word.eq_ignore_ascii_case("left") || word.eq_ignore_ascii_case("right"))
}

/// Canonical names that certainly find nothing in a dataset: prompts of datasets that share no body region with it, and
/// no wording with its own prompts ("blood vessels" of the retina says nothing about those of a limb).
pub(crate) fn foreign_prompts(datasets: &[Dataset], own: usize, data: &DataConfig) -> Vec<String> {
    let Some(own_regions) = data.regions.get(&datasets[own].name) else {
        return vec![];
    };
    let own_words: Vec<&String> = datasets[own]
        .prompts
        .iter()
        .flat_map(|p| std::iter::once(&p.canonical).chain(&p.synonyms))
        .collect();
    let mut names: Vec<String> = datasets
        .iter()
        .filter(|other| {
            data.regions
                .get(&other.name)
                .is_some_and(|regions| !regions.iter().any(|r| own_regions.contains(r)))
        })
        .flat_map(|other| &other.prompts)
        .filter(|p| {
            !std::iter::once(&p.canonical)
                .chain(&p.synonyms)
                .any(|word| own_words.contains(&word))
        })
        .map(|p| p.canonical.clone())
        .collect();
    names.sort();
    names.dedup();
    // A name that a dataset of a shared region also uses is not clearly foreign.
    names.retain(|name| {
        !datasets.iter().any(|other| {
            other.prompts.iter().any(|p| &p.canonical == name)
                && data
                    .regions
                    .get(&other.name)
                    .is_none_or(|regions| regions.iter().any(|r| own_regions.contains(r)))
        })
    });
    names
}
