//! What a segment is, in SNOMED CT (PS3.16 CID 7150 and 7151): looked up from the words of a prompt, the side
//! as a modifier (CID 244). Words without a code are coded as tissue, and the segment's label says the rest.

use serde::{Deserialize, Serialize};

/// A code with its meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Code Value.
    pub value: String,
    /// Coding Scheme Designator, `"SCT"` for SNOMED CT.
    pub scheme: String,
    /// Code Meaning.
    pub meaning: String,
}

impl Code {
    /// A code of SNOMED CT.
    pub fn sct(value: &str, meaning: &str) -> Self {
        Self {
            value: value.to_owned(),
            scheme: "SCT".to_owned(),
            meaning: meaning.to_owned(),
        }
    }
}

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coding {
    /// Segmented Property Category.
    pub category: Code,
    /// Segmented Property Type.
    pub kind: Code,
    /// Segmented Property Type Modifier: the side.
    pub modifier: Option<Code>,
    /// Whether the type says what the name says; else it is the general one.
    pub known: bool,
}

/// Term, code, meaning, category by line.
const CODES: &str = include_str!("codes.tsv");

/// Sides, as words in front of a term.
const SIDES: &[(&str, &str, &str)] = &[
    ("left ", "7771000", "Left"),
    ("right ", "24028007", "Right"),
    ("both ", "51440002", "Right and left"),
];

/// The colours that segments take in turn: Okabe and Ito's, which the colour-blind tell apart, then lighter
/// ones of the same hues.
const PALETTE: &[[u8; 3]] = &[
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
    [255, 214, 128],
    [176, 224, 255],
    [110, 215, 180],
    [130, 150, 220],
    [255, 170, 120],
    [230, 180, 215],
];

/// The colour of the segment with an index from 0.
pub fn color(index: usize) -> [u8; 3] {
    let turn = index % PALETTE.len().max(1);
    PALETTE.get(turn).copied().unwrap_or([230, 159, 0])
}

/// The codes of a prompt.
pub fn coding(prompt: &str) -> Coding {
    let lower = prompt.trim().to_lowercase();
    let term = lower.strip_prefix("the ").unwrap_or(&lower);
    if let Some((kind, category)) = of_term(term) {
        // "Lungs" are two where the code is of one.
        let both = matches!(term, "lungs" | "kidneys" | "lung fields");
        return Coding {
            category,
            kind,
            modifier: both.then(|| Code::sct("51440002", "Right and left")),
            known: true,
        };
    }
    let side = SIDES
        .iter()
        .find_map(|&(word, value, meaning)| Some((term.strip_prefix(word)?, value, meaning)));
    if let Some((rest, value, meaning)) = side
        && let Some((kind, category)) = of_term(rest)
    {
        return Coding {
            category,
            kind,
            modifier: Some(Code::sct(value, meaning)),
            known: true,
        };
    }
    Coding {
        category: category("T"),
        kind: Code::sct("85756007", "Tissue"),
        modifier: None,
        known: false,
    }
}

/// The code of a term, or of its singular.
fn of_term(term: &str) -> Option<(Code, Code)> {
    let find = |wanted: &str| {
        CODES.lines().find_map(|line| {
            let mut parts = line.split('\t');
            if parts.next() != Some(wanted) {
                return None;
            }
            let (value, meaning, kind) = (parts.next()?, parts.next()?, parts.next()?);
            Some((Code::sct(value, meaning), category(kind)))
        })
    };
    find(term).or_else(|| find(term.strip_suffix('s')?))
}

/// Segmented property categories (CID 7150).
fn category(kind: &str) -> Code {
    match kind {
        "M" => Code::sct("49755003", "Morphologically Abnormal Structure"),
        "T" => Code::sct("85756007", "Tissue"),
        "P" => Code::sct("260787004", "Physical object"),
        "B" => Code::sct("91720002", "Body Substance"),
        _ => Code::sct("91723000", "Anatomical Structure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_codes_and_sides() {
        let lung = coding("Left lung");
        assert_eq!((lung.kind.value.as_str(), lung.known), ("39607008", true));
        assert_eq!(lung.modifier.unwrap().value, "7771000");
        assert_eq!(lung.category.value, "91723000");
        // A structure that has a code of its own is no side of another.
        let ventricle = coding("left ventricle");
        assert_eq!(ventricle.kind.value, "87878005");
        assert_eq!(ventricle.modifier, None);
        assert_eq!(coding("ribs").kind.value, "113197003");
        assert_eq!(coding("brain tumor").category.value, "49755003");
        assert_eq!(coding("lungs").modifier.unwrap().value, "51440002");
        let unknown = coding("something nobody coded");
        assert_eq!(
            (unknown.kind.value.as_str(), unknown.known),
            ("85756007", false)
        );
    }

    #[test]
    fn every_line_of_the_table_is_whole() {
        let lines: Vec<_> = CODES
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert!(lines.len() > 300, "{}", lines.len());
        for line in lines {
            let parts: Vec<_> = line.split('\t').collect();
            assert!(
                matches!(parts[..], [_, _, _, "A" | "M" | "T" | "P" | "B"]),
                "{line}"
            );
            assert!(parts[2].len() <= 64, "{line}: Code Meaning is LO");
        }
    }
}
