"""Writes expected.json: token ids of varied strings by two independent implementations.

    pip install ftfy open_clip_torch transformers
    python make_expected.py bpe_simple_vocab_16e6.txt.gz

"ids" are those of OpenCLIP's SimpleTokenizer, which SAM 3 carries a copy of; whole (start, ..., end), without padding
or truncation. transformers' CLIPTokenizer, built from the same vocabulary and handed cleaned text because it lacks the
cleaning, must give the same ids but for DIFFERENT.
"""

import gzip
import json
import pathlib
import sys

from open_clip.tokenizer import SimpleTokenizer
from transformers import CLIPTokenizer

# The strings of the model's specification with the ids it lists: the tokenizer built here must agree with them.
SPECIFIED = {
    "Polyp": [49406, 6833, 335, 49407],
    "Skin Lesion": [49406, 3575, 534, 1015, 49407],
    "thyroid nodule": [49406, 32558, 578, 691, 579, 49407],
    "cell nucleus": [49406, 5533, 25693, 718, 49407],
    "Retinal Blood Vessel": [49406, 31270, 566, 3590, 16387, 49407],
    "fetal head": [49406, 42031, 1375, 49407],
    "Optic Disc": [49406, 24755, 10712, 49407],
    "visual": [49406, 7195, 49407],
    "Cystoid Macular Edema": [49406, 1470, 928, 1014, 1961, 4927, 29632, 1226, 49407],
}

# transformers names its special tokens otherwise, and does not match contractions regardless of case.
DIFFERENT = {"<|endoftext|>", "lung <|endoftext|> heart", "<|startoftext|>", "<start_of_text>", "lung <end_of_text>",
             "don'\u017f"}

MEDICAL = """left lung;right lung;lungs;heart;liver;spleen;left kidney;right kidney;aorta;hippocampus;brain;
left ventricle;myocardium;cell nuclei;gallbladder;pancreas;stomach;duodenum;esophagus;oesophagus;trachea;
intervertebral disc;L4/L5 disc;spinal canal;vertebra T12;optic disc;optic cup;retinal vessel;polyp;skin lesion;
melanoma;breast tumour;breast tumor;benign lesion;malignant mass;fetal abdomen;foetal head circumference;
carotid artery;white blood cell;mitochondria;neuronal membrane;foot ulcer;pneumothorax;pleural effusion;
ground-glass opacity;COVID-19 infection;glioma (FLAIR);T2 hyperintensity;lymph node;non-small-cell carcinoma;
intracranial haemorrhage;hemorrhage;hard exudates;microaneurysm;drusen;macular oedema;Crohn's disease;
Hodgkin's lymphoma;Alzheimer's;Ewing's sarcoma;Barrett's esophagus;it's the patient's lung;
don't segment this;they're lesions;I've seen 3 nodules;we'll see;I'd say liver;I'm here""".replace("\n", "").split(";")

GENERAL = [
    "", " ", "a", "A", "0", "7", "42", "2026", "3.14", "1,000,000", "10mm", "5 mm", "±2 SD", "> 3 cm", "50%",
    "lung!", "lung?!", "!!!", "...", "lung...", "(lung)", "[heart]", "{x}", "a/b", "a\\b", "a_b", "a-b", "a--b",
    "left  lung", "  left lung  ", "left\tlung", "left\nlung", "left\r\nlung", "left\u00a0lung", "left\u2003lung",
    "left\u200blung", "LEFT LUNG", "LeFt LuNg", "café", "cafe\u0301", "naïve", "Größe", "Straße", "GROSSE",
    "ﬁbrosis", "ﬂuid", "eﬀusion", "Ｌｕｎｇ", "１２３", "①", "½", "²", "m²", "µm", "μm", "Å", "Ω", "β-cell", "α",
    "γδ T cell", "ΑΟΡΤΗ", "ΟΔΟΣ", "İstanbul", "ıI", "ǅ", "ſ", "don'ſ", "печень", "ПЕЧЕНЬ", "肝臓", "肝脏", "폐",
    "ปอด", "फेफड़ा", "رئة", "כבד", "phổi", "𝓁𝓊𝓃𝑔", "🫁", "🫀 heart", "👨‍⚕️ lung", "🇩🇪", "don’t", "patient’s lung",
    "‘lung’", "“lung”", "„Lunge“", "«poumon»", "lung–heart", "lung—heart", "lung…", "l'aorte", "'s", "''", "'ll",
    "x's't're", "&amp;", "&lt;5 mm", "a &amp;amp; b", "&quot;lung&quot;", "&#39;s", "&#x3b2;-cell", "&beta;-cell",
    "&Beta;", "&nbsp;lung", "&ampersand", "&unknown;", "&", "& heart", "R&D", "lung & heart", "&copy;", "&copy 1",
    "#1", "@home", "C++", "$5", "€5", "£5", "a*b", "a=b", "~", "^", "`", "|", "<", "<b>lung</b>", "<5 mm", "a<b>c",
    "<|endoftext|>", "lung <|endoftext|> heart", "<|startoftext|>", "<|endoftext", "<start_of_text>", "lung <end_of_text>", "\x07lung", "lu\x1b[31mng",
    "lung\x7f", "\ufefflung", "\u202elung", "lung\u2028heart", "a" * 40, "supercalifragilisticexpialidocious",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "the " * 40, "lung, " * 30, "1 2 3 4 5 6 7 8 9 0",
    "ab12cd34", "IL-6", "CD8+", "HER2/neu", "pT3N1M0", "Gleason 3+4=7", "BI-RADS 4a", "x̄", "q̃", "Ǻ", "ﷺ", "㎜", "㎝",
    "ｶﾞ", "℃", "№ 5", "™", "lung\ufe0f", "۱۲۳", "१२३", "Ⅳ", "ⅳ", "_", "__init__", "e.g. lung", "i.e., the heart",
    "left lung; right lung", "left lung: lower lobe", "What is this?", "Segment the left atrium of the heart.",
]


def second_opinion(vocabulary_path):
    """CLIP's vocabulary in transformers' form: the merges are lines 1..48894, bytes come first, then words."""
    lines = gzip.open(vocabulary_path).read().decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in visible] + [chr(256 + n) for n in range(256 - len(visible))]
    words = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=merges)


def main():
    reference = SimpleTokenizer(sys.argv[1])
    second = second_opinion(sys.argv[1])
    cases = []
    for text in dict.fromkeys([*SPECIFIED, *MEDICAL, *GENERAL]):
        cleaned = reference.clean_fn(text)
        ids = [49406, *reference.encode(text), 49407]
        assert ids == SPECIFIED.get(text, ids), text
        assert ids == second(cleaned)["input_ids"] or text in DIFFERENT, text
        cases.append({"text": text, "cleaned": cleaned, "ids": ids})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    pathlib.Path(__file__).with_name("expected.json").write_text("[\n" + lines + "\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
