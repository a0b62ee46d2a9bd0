"""Makes crates/segmentation/src/codes.tsv: term, SNOMED CT code, meaning, category.

Codes come from weights/vocabulary.tsv and from EXTRA below; every one is looked up in pydicom's SNOMED CT concepts.
Categories: A anatomical structure, M morphologically abnormal structure, T tissue, P physical object, B body substance.
Run: python tests/segmentation/make_codes.py (pydicom 3.0.2)
"""
import pathlib

from pydicom.sr._concepts_dict import concepts

ROOT = pathlib.Path(__file__).parents[2]
KNOWN = {code for codes in concepts["SCT"].values() for code in codes}
# Not in pydicom: myocardium and intervertebral disc, as public FHIR resources and segmentation scripts have them.
KNOWN |= {"74281007", "360499006"}
MORPHOLOGIC = """polyp pneumothorax lesion melanoma nodule hemorrhage glioblastoma mass cyst abscess edema necrosis
 thrombus clot embolus scar neoplasm effusion embolism aneurysm dissection plaque hematoma carcinoma psoriasis
 infarction""".split()
PHYSICAL = "needle suture clip catheter stent tube pacemaker prosthesis screw".split()
TISSUE = "connective tissue,fat,lymphoid tissue,skeletal muscle,muscle,cartilage,bone marrow".split(",")
SUBSTANCE = "amniotic fluid,cerebrospinal fluid".split(",")
# Terms of the shipped model and others without an entry of their own; where SNOMED CT in pydicom has no narrower
# concept, the general one.
EXTRA = {
    ("lungs", "both lungs", "lung fields", "lung field"): ("39607008", "Lung", "A"),
    ("kidneys", "both kidneys"): ("64033007", "Kidney", "A"),
    ("optic disc", "optic disk", "optic nerve head"): ("81016008", "Optic nerve head", "A"),
    ("retinal vessels", "retinal blood vessels", "retinal vasculature", "retinal blood vessel", "vessel", "vessels",
     "vascular lumen"): ("59820001", "Blood Vessel", "A"),
    ("cell nuclei", "cell nucleus", "nuclei", "nucleus"): ("84640000", "Nucleus", "A"),
    ("anterior hippocampus", "posterior hippocampus", "hippocampus head", "hippocampus body and tail"):
        ("5366008", "Hippocampus", "A"),
    ("vertebrae", "vertebral bodies"): ("51282000", "Vertebra", "A"),
    ("cerebrum", "brain tissue", "brain parenchyma"): ("12738006", "Brain", "A"),
    ("myocardium", "heart muscle"): ("74281007", "Myocardium", "A"),
    ("intervertebral disc", "intervertebral discs", "discs", "disks"): ("360499006", "Intervertebral disc", "A"),
    ("thecal sac",): ("61853006", "Vertebral canal", "A"),
    ("l4-l5 disc",): ("84020006", "L4/L5 disc", "A"),
    ("breast lesion", "breast ultrasound lesion", "benign breast lesion", "stroke lesion", "multiple sclerosis lesion"):
        ("52988006", "Lesion", "M"),
    ("brain tumor", "brain tumour", "intracranial tumor", "tumor", "tumour", "glioma", "meningioma", "pituitary tumor",
     "pituitary tumour", "pituitary adenoma", "breast tumor", "breast tumour", "malignant breast tumor",
     "breast cancer", "kidney tumor", "kidney tumour", "liver tumor", "liver tumour", "lung tumor", "lung tumour",
     "pancreas tumor", "colon tumor", "prostate tumor", "adrenal tumor", "bladder tumor", "bone tumor"):
        ("108369006", "Neoplasm", "M"),
    ("lung nodule", "pulmonary nodule"): ("27925004", "Nodule", "M"),
    ("kidney cyst", "liver cyst", "ovarian cyst"): ("367643001", "Cyst", "M"),
    ("surgical instrument",): ("57134006", "Instrument", "P"),
}


def category(term):
    words = term.split()
    if term in TISSUE:
        return "T"
    if term in SUBSTANCE:
        return "B"
    if any(word in PHYSICAL for word in words):
        return "P"
    return "M" if any(word in MORPHOLOGIC for word in words) else "A"


rows = {}
for line in (ROOT / "weights/vocabulary.tsv").read_text().splitlines():
    if line.startswith("#") or not line.strip():
        continue
    term, code, meaning, synonyms = (line.split("\t") + ["", "", ""])[:4]
    if code:
        rows[term] = (code, meaning, category(term))
        for synonym in filter(None, (part.strip() for part in synonyms.split(";"))):
            rows.setdefault(synonym, (code, meaning, category(term)))
for terms, row in EXTRA.items():
    for term in terms:
        rows[term] = row
unknown = sorted({code for code, _, _ in rows.values() if code not in KNOWN})
assert not unknown, unknown
long = [row for row in rows.values() if len(row[1]) > 64]
assert not long, long
out = ["# Made by tests/segmentation/make_codes.py: term, SNOMED CT code, meaning, category."]
out += ["\t".join((term, *row)) for term, row in sorted(rows.items())]
(ROOT / "crates/segmentation/src/codes.tsv").write_text("\n".join(out) + "\n")
print(len(rows), "terms")
