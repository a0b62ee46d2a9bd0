//! Text cleaning as CLIP's tokenizer does it (reference 1.4): ftfy, HTML entities twice, white space, lower case.
//!
//! Of ftfy come the steps that typed or pasted prompts meet: entities, ligatures, character widths, curled quotes,
//! terminal escapes, control characters, NFC. Its repair of text decoded in the wrong encoding is left out.

use unicode_normalization::UnicodeNormalization as _;

/// ftfy repeats its steps until nothing changes; text that still changes after this many is an attack, not a prompt.
const ROUNDS: usize = 8;

/// The text as the tokenizer sees it; empty when there is nothing but white space in it.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let fixed = fix(&text);
        if fixed == text {
            break;
        }
        text = fixed;
    }
    let text = htmlize::unescape(text);
    let text = htmlize::unescape(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether there is nothing to look for in a text: no letter and no digit, as in ",,," or a zero-width space.
#[must_use]
pub fn is_empty_prompt(text: &str) -> bool {
    !clean(text).chars().any(char::is_alphanumeric)
}

fn fix(text: &str) -> String {
    // ftfy takes a "<" for a sign that the text is meant to be HTML.
    let text = if text.contains('<') {
        text.into()
    } else {
        htmlize::unescape(text)
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match (ligature(c), c) {
            (Some(letters), _) => plain.push_str(letters),
            (None, '\u{3000}') => plain.push(' '),
            (None, '\u{ff01}'..='\u{ffef}') => plain.extend(std::iter::once(c).nfkc()),
            (None, '\u{2bc}' | '\u{2018}'..='\u{201b}') => plain.push('\''),
            (None, '\u{201c}'..='\u{201f}') => plain.push('"'),
            (None, c) => plain.push(c),
        }
    }
    let plain = without_terminal_escapes(&plain);
    plain.chars().filter(|c| !is_control(*c)).nfc().collect()
}

/// Letters joined by a typesetter, and digraphs that Unicode has for the sake of old encodings.
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffc}')
}

/// Drops `ESC [ digits and semicolons, letter`, which text copied from a terminal brings along.
fn without_terminal_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match rest.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(rest) => plain.push_str(rest),
            None => {
                plain.push_str("\u{1b}[");
                plain.push_str(part);
            }
        }
    }
    plain
}
