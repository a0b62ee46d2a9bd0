"""Reads the Structured Report that `write_phantom` wrote with highdicom, and checks it with dciodvfy and pydicom's codes.

Run: python tests/segmentation/check_report.py OUTPUT   (the folder of a series, as check_written.py)
Needs highdicom 0.28.2, pydicom 3.0.2, dciodvfy (Debian dicom3tools).
"""
import json
import pathlib
import re
import subprocess
import sys
import warnings

import highdicom as hd
import pydicom
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes

warnings.filterwarnings("ignore")
out = pathlib.Path(sys.argv[1])
failures = []


def check(name, ok, detail=""):
    print(("ok   " if ok else "FAIL ") + name, detail)
    if not ok:
        failures.append(name)


ds = pydicom.dcmread(out / "report.dcm")
seg = pydicom.dcmread(out / "seg.dcm")
document = json.loads((out / "measurements.json").read_text())
report = hd.sr.srread(out / "report.dcm")
check("highdicom: a Comprehensive 3D SR after TID 1500", isinstance(report, hd.sr.Comprehensive3DSR)
      and isinstance(report.content, hd.sr.MeasurementReport))
planar = document["grid"]["slices"] == 1
find = report.content.get_planar_roi_measurement_groups if planar else report.content.get_volumetric_roi_measurement_groups
groups = find()
check("highdicom: groups", len(groups) == len(document["measurements"]), f"{len(groups)} {'planar' if planar else 'volumetric'}")
observers = report.content.get_observer_contexts(observer_type=codes.DCM.Device)
check("highdicom: device observer", len(observers) == 1 and observers[0].observer_identifying_attributes.name == "medsam3")

evidence = {str(sop.ReferencedSOPInstanceUID) for study in ds.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence for sop in series.ReferencedSOPSequence}
own = {"Mean": "mean", "Standard Deviation": "sd", "Minimum": "min", "Maximum": "max"}
for group, measured in zip(groups, document["measurements"]):
    name = f"{measured['name']} frame {measured['frame'] + 1}"
    segment = document["segments"][measured["number"] - 1]
    said = {}
    for measurement in group.get_measurements():
        derivation = measurement.derivation
        said[derivation.meaning if derivation else measurement.name.meaning] = (measurement.value, measurement.unit.value)
    expected = {}
    if measured["volume_ml"] is not None:
        expected["Volume"] = (measured["volume_ml"], "cm3")
    slices = measured["slices"]
    if len(slices) == 1 and slices[0]["area_mm2"] is not None:
        expected["Area"] = (slices[0]["area_mm2"], "mm2")
    axes = slices[measured["largest"]]["axes_mm"]
    if axes is not None:
        expected |= {"Long axis": (axes[0], "mm"), "Short axis": (axes[1], "mm")}
    if measured["statistics"] and seg.get("Modality") and "Mean" in said:
        unit = "[hnsf'U]" if measured["statistics"]["unit"] == "HU" else "1"
        expected |= {k: (measured["statistics"][v], unit) for k, v in own.items()}
    near = all(abs(said[k][0] - v[0]) <= 1e-9 * max(abs(v[0]), 1) and said[k][1] == v[1] for k, v in expected.items() if k in said)
    check(f"values: {name}", said.keys() == expected.keys() and near, ", ".join(f"{k} {v[0]:.6g} {v[1]}" for k, v in said.items()))
    good = group.tracking_identifier == measured["name"] and group.finding_type.value == segment["coding"]["kind"]["value"]
    sites = group.finding_sites
    if segment["coding"]["category"]["value"] == "91723000":
        side = segment["coding"]["modifier"]
        good &= len(sites) == 1 and sites[0].value.value == segment["coding"]["kind"]["value"]
        good &= (sites[0].laterality.value if sites[0].laterality else None) == (side["value"] if side else None)
    check(f"identity: {name}", good, f"{group.finding_type.meaning}, {[s.laterality.meaning if s.laterality else s.value.meaning for s in sites]}")
    if planar:
        reference = group.referenced_segmentation_frame
        images = [reference.source_image_for_segmentation]
        frame = seg.PerFrameFunctionalGroupsSequence[int(reference[0].referenced_frame_numbers[0]) - 1]
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        good = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == measured["number"]
        good &= all(i.referenced_sop_instance_uid == image.ReferencedSOPInstanceUID
                    and (i.referenced_frame_numbers or [None])[0] == image.get("ReferencedFrameNumber") for i in images)
        good &= all(i.referenced_sop_instance_uid in evidence for i in images)
    else:
        reference = group.referenced_segment
        series = reference.source_series_for_segmentation
        good = str(series.value) == str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)
    good &= reference[0].referenced_sop_instance_uid == seg.SOPInstanceUID and seg.SOPInstanceUID in evidence
    if not planar:
        good &= reference[0].referenced_segment_numbers[0] == measured["number"]
    check(f"references: {name}", bool(good))

known = {scheme: {code for entries in table.values() for code in entries} for scheme, table in concepts.items()}
# SNOMED CT codes of PS3.16 or of public files that pydicom's tables lack: make_codes.py.
known["SCT"] |= {"74281007", "360499006"}
unknown = set()
for element in ds.iterall():
    if element.VR != "SQ" or element.keyword == "MeasuredValueSequence":
        continue
    for item in element.value:
        scheme, value = item.get("CodingSchemeDesignator"), item.get("CodeValue")
        if scheme in ("DCM", "SCT", "UCUM", "LN") and value not in known[scheme]:
            unknown.add((scheme, value, item.CodeMeaning))
check("codes are pydicom's", not unknown, str(unknown))

# UIDs of the source that are not valid must be repeated, as in the segmentation: check_written.py.
invalid = {str(element.value) for element in seg.iterall() if element.VR == "UI" and re.search(r"\.0\d", str(element.value))}
for name in ("report.dcm", "report-deidentified.dcm"):
    said = subprocess.run(["dciodvfy", out / name], capture_output=True, text=True)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    if invalid:
        errors = [line for line in errors if not any(f"<{uid}>" in line for uid in invalid)
                  and "dataset contains invalid data values" not in line]
    check(f"dciodvfy {name}", not errors, "; ".join(errors))
anonymous = pydicom.dcmread(out / "report-deidentified.dcm")
leaks = [str(ds.get(k)) for k in ("PatientName", "PatientID", "AccessionNumber", "StudyDate") if ds.get(k)]
leaks = [leak for leak in leaks if leak != "Anonymous" and len(leak) > 2]
kept = [str(e.value) for e in anonymous.iterall() if e.VR not in ("UI", "SQ")]
check("de-identified", not any(leak in text for leak in leaks for text in kept), f"{len(leaks)} values looked for")
print("FAILED" if failures else "all right", failures)
sys.exit(bool(failures))
