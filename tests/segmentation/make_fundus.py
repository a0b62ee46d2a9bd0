"""Makes fundus.dcm: a small colour fundus photograph (Ophthalmic Photography 8 Bit Image, PS3.3 A.41), drawn and valid.

pydicom 3.0.2; dciodvfy (Debian dicom3tools) says no error. The picture is drawn here: a disc, an optic disc, vessels.
Run: python tests/segmentation/make_fundus.py
"""
import pathlib
import subprocess

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, OphthalmicPhotography8BitImageStorage

ROWS, COLUMNS = 48, 64
y, x = np.mgrid[:ROWS, :COLUMNS]
pixels = np.zeros((ROWS, COLUMNS, 3), np.uint8)
field = (x - 31.5) ** 2 + (y - 23.5) ** 2 < 23 ** 2
pixels[field] = (190, 80, 40)
pixels[field & (np.abs(y - 23 - 8 * np.sin(x / 12)) < 1.2)] = (120, 30, 20)
pixels[field & ((x - 44) ** 2 + (y - 24) ** 2 < 25)] = (250, 220, 140)


def item(**values):
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


ds = item(
    SpecificCharacterSet="ISO_IR 192", ImageType=["ORIGINAL", "PRIMARY", "", "COLOR"],
    SOPClassUID=OphthalmicPhotography8BitImageStorage, SOPInstanceUID="1.2.826.0.1.3680043.10.999.4.1",
    StudyDate="20260102", SeriesDate="20260102", ContentDate="20260102", AcquisitionDateTime="20260102101112",
    StudyTime="101112", ContentTime="101112", AccessionNumber="A-17", Modality="OP", Manufacturer="Nobody",
    ReferringPhysicianName="", PatientName="Fundus^Test", PatientID="F-1", PatientBirthDate="", PatientSex="O",
    StudyInstanceUID="1.2.826.0.1.3680043.10.999.4.2", SeriesInstanceUID="1.2.826.0.1.3680043.10.999.4.3", StudyID="1",
    SeriesNumber=1, InstanceNumber=1, PatientOrientation=["L", "F"], ImageLaterality="R", PatientEyeMovementCommanded="NO",
    SynchronizationTrigger="NO TRIGGER", AcquisitionTimeSynchronized="N", SynchronizationFrameOfReferenceUID="1.2.826.0.1.3680043.10.999.4.4",
    BurnedInAnnotation="NO", LossyImageCompression="00", HorizontalFieldOfView=45.0,
    EmmetropicMagnification=None, IntraOcularPressure=None, PupilDilated="NO", DetectorType="CCD",
    NumberOfFrames=1, FrameIncrementPointer=0x00181063, FrameTime=0, RefractiveStateSequence=[],
    AcquisitionDeviceTypeCodeSequence=[code("409898007", "SCT", "Fundus Camera")],
    AnatomicRegionSequence=[code("81745001", "SCT", "Eye")],
    IlluminationTypeCodeSequence=[], LightPathFilterTypeStackCodeSequence=[], ImagePathFilterTypeStackCodeSequence=[],
    LensesCodeSequence=[], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, Rows=ROWS,
    Columns=COLUMNS, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, PixelData=pixels.tobytes(),
)
ds.file_meta = FileMetaDataset()
ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
path = pathlib.Path(__file__).with_name("fundus.dcm")
ds.save_as(path, enforce_file_format=True)
said = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
print(said.stdout + said.stderr)
