//! The prompts of the vocabulary pack, from `weights/vocabulary.tsv`: concept, SNOMED CT code, the code's meaning,
//! synonyms.

const LIST: &str = include_str!("../../../../../weights/vocabulary.tsv");

/// One wording of a concept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub prompt: String,
    pub concept: String,
    pub snomed: Option<String>,
}

/// Every wording, concepts in the order of the list.
pub fn all() -> Vec<Word> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(of_line).collect()
}

fn of_line(line: &str) -> Vec<Word> {
    let mut columns = line.split('\t');
    let concept = columns.next().unwrap_or_default();
    let snomed = columns.next().filter(|code| !code.is_empty());
    let synonyms = columns.nth(1).unwrap_or_default().split("; ");
    std::iter::once(concept)
        .chain(synonyms.filter(|word| !word.is_empty()))
        .map(|prompt| Word {
            prompt: prompt.to_owned(),
            concept: concept.to_owned(),
            snomed: snomed.map(str::to_owned),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the paper's datasets are prompted with, by its released results.
    const PUBLISHED: [&str; 31] = [
        "coronary artery segment",
        "Polyp",
        "Bone Tumor",
        "Breast Ultrasound Lesion",
        "Breast Cancer Tissue",
        "Lung",
        "Pneumothorax",
        "Optic Disc",
        "Kidney",
        "liver",
        "Tissue",
        "Retinal Blood Vessel",
        "retinal artery and vein",
        "optic disc and cup",
        "Cystoid Macular Edema",
        "Placental Vessel",
        "Gland",
        "cell nucleus",
        "cell",
        "Cell",
        "cell organelle",
        "Skin Lesion",
        "polyp",
        "thyroid nodule",
        "nerve",
        "fetal head",
        "Liver",
        "Spleen",
        "Left kidney",
        "Right kidney",
        "Pancreas",
    ];

    #[test]
    fn the_list_holds_about_a_thousand_prompts_each_once_and_cleaned() {
        let words = all();
        assert!((1000..1300).contains(&words.len()), "{}", words.len());
        let prompts: BTreeSet<&str> = words.iter().map(|word| word.prompt.as_str()).collect();
        assert_eq!(prompts.len(), words.len());
        for word in &words {
            assert_eq!(medsam3_engine::clean(&word.prompt), word.prompt);
        }
        for prompt in PUBLISHED {
            assert!(
                prompts.contains(medsam3_engine::clean(prompt).as_str()),
                "{prompt}"
            );
        }
        let liver = words
            .iter()
            .find(|word| word.prompt == "hepatic parenchyma");
        let liver = liver.unwrap();
        assert_eq!(liver.concept, "liver");
        // DICOM PS3.16, context group 7154.
        assert_eq!(liver.snomed.as_deref(), Some("10200004"));
    }
}
