//! Makes `tokenizer.json` from CLIP's byte-pair vocabulary (OpenAI, MIT licence; 262,145 lines, of which the first
//! 48,894 merges count), read from standard input and written minified to standard output:
//!
//! `gzip -dc bpe_simple_vocab_16e6.txt.gz | cargo run -p medsam3-engine --example make_tokenizer > tokenizer.json`

use std::io::Read as _;

use serde_json::{Map, Value, json};

/// 49408 entries less 256 bytes, 256 bytes that end a word, and two special tokens.
const MERGES: usize = 49408 - 2 * 256 - 2;
const SPECIAL: [&str; 2] = ["<start_of_text>", "<end_of_text>"];
/// Contractions, runs of letters, single digits, runs of anything else (CLIP's `simple_tokenizer.py`).
const PATTERN: &str = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    // The first line is a version note.
    let merges: Vec<&str> = text.lines().skip(1).take(MERGES).collect();
    if merges.len() != MERGES {
        return Err(format!("{} merges, not {MERGES}", merges.len()).into());
    }
    let letters = byte_letters();
    let words = letters.iter().map(char::to_string);
    let ends = letters.iter().map(|letter| format!("{letter}</w>"));
    let merged = merges.iter().map(|merge| merge.replace(' ', ""));
    let special = SPECIAL.map(str::to_owned);
    let entries = words.chain(ends).chain(merged).chain(special);
    let vocabulary: Map<String, Value> = entries
        .enumerate()
        .map(|(id, word)| (word, id.into()))
        .collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .map(|content| {
            json!({"id": vocabulary[*content], "content": content, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let [start, end] = SPECIAL;
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [end, vocabulary[end]],
                           "cls": [start, vocabulary[start]], "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": end, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "</w>", "fuse_unk": false, "vocab": vocabulary, "merges": merges},
    });
    println!("{tokenizer}");
    Ok(())
}

/// A visible letter for each byte, in the order of the vocabulary: visible ones stand for themselves, the others take
/// letters from U+0100 on.
fn byte_letters() -> Vec<char> {
    let visible = (33..=126).chain(161..=172).chain(174..=255);
    let borrowed = (0..256 - 188).map(|n| 256 + n);
    visible.chain(borrowed).filter_map(char::from_u32).collect()
}
