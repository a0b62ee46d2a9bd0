"""Writes the small PyTorch files that the checkpoint reader is tested with, and what is in them.

    pip install torch && python make_fixtures.py

Made with torch 2.15 (CPU). `expected.json` holds each tensor's shape and its values as PyTorch gives them in float32;
`calls.pt` asks for a function to be called on loading (torch.load(weights_only=False) would call it).
"""
import collections, io, json, os, pathlib, zipfile
import torch

HERE = pathlib.Path(__file__).parent
torch.manual_seed(5)


def state():
    base = torch.randn(4, 6)
    whole = torch.randn(40)
    return collections.OrderedDict(
        weight=base,
        transposed=base.t(),
        rows=whole[8:32].view(4, 6)[1:3],
        every_other=whole[1::3],
        expanded=torch.tensor([[2.5]]).expand(3, 2),
        half=torch.randn(3, 2).half(),
        bfloat=torch.randn(5).bfloat16(),
        double=torch.randn(2, 2).double(),
        scalar=torch.tensor(-7.25),
        parameter=torch.nn.Parameter(torch.randn(2, 3)),
        channels_last=torch.randn(1, 3, 2, 2).to(memory_format=torch.channels_last),
        empty=torch.empty(0, 4),
        counter=torch.arange(3),
        rotary=torch.randn(2, 2, dtype=torch.complex64),
    )


def nested(model):
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        "model": model,
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "best": {"dice": 0.75, "names": ["a", "b"], "big": 2**70, "flag": True, "none": None},
        "size": torch.Size([2, 3]),
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "time": collections.defaultdict(int, a=1),
    }


class Calls:
    def __reduce__(self):
        return os.system, ("true",)


def deflated(data):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as a, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as b:
        for name in a.namelist():
            b.writestr(name, a.read(name))
    return out.getvalue()


def main():
    model = state()
    torch.save(model, HERE / "flat.pt")
    torch.save(nested(model), HERE / "nested.pt")
    torch.save(nested(model), HERE / "protocol5.pt", pickle_protocol=5)
    (HERE / "deflated.pt").write_bytes(deflated((HERE / "flat.pt").read_bytes()))
    torch.save({"model": model, "hook": Calls()}, HERE / "calls.pt")
    expected = {
        name: {"shape": list(t.shape), "values": t.detach().float().flatten().tolist()}
        for name, t in model.items()
        if t.is_floating_point()
    }
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
    print(torch.__version__, sum(f.stat().st_size for f in HERE.glob("*.pt")), "bytes")


main()
