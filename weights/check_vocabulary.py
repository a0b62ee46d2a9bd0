"""Checks vocabulary.tsv against pydicom's dictionary of SNOMED CT concepts (`pydicom.sr`, made from the DICOM standard).

    pip install pydicom && python check_vocabulary.py

Every code must be there with exactly the meaning that the list gives, every prompt once, in lower case, without
characters that the tokenizer's cleaning would change. Prints the counts; exits with 1 and every fault otherwise.
"""
import collections, pathlib, sys

import pydicom
from pydicom.sr import _concepts_dict

meanings = collections.defaultdict(set)
for codes in _concepts_dict.concepts["SCT"].values():
    for code, (meaning, _) in codes.items():
        meanings[code].add(meaning)

faults, prompts, coded = [], collections.Counter(), 0
lines = pathlib.Path(__file__).with_name("vocabulary.tsv").read_text().splitlines()
rows = [line.split("\t") for line in lines if not line.startswith("#")]
for row in rows:
    if len(row) != 4:
        faults.append(f"not four columns: {row}")
        continue
    concept, code, meaning, synonyms = row
    wordings = [concept] + [word for word in synonyms.split("; ") if word]
    prompts.update(wordings)
    for word in wordings:
        if word != " ".join(word.lower().split()) or not word.isascii() or set(word) & set("<>&\""):
            faults.append(f"not as the tokenizer reads it: {word!r}")
    if code:
        coded += 1
        if meaning not in meanings[code]:
            faults.append(f"{concept}: {code} means {sorted(meanings[code])}, not {meaning!r}")
    elif meaning:
        faults.append(f"{concept}: a meaning without a code")
faults += [f"twice: {word}" for word, count in prompts.items() if count > 1]
print("\n".join(faults))
print(f"pydicom {pydicom.__version__}: {len(rows)} concepts, {coded} with a SNOMED CT code, {len(prompts)} prompts")
sys.exit(bool(faults))
