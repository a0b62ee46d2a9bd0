//! A file as `torch.save` writes it: a stored zip with a pickle of protocol 2 and a member for each storage.
//! `torch.load(path, weights_only=True)` reads it.

use std::io::{Result, Write};

use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::Tensor;
use super::safetensors_file::write_values;

/// How the model lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// The state dict alone.
    Flat,
    /// Under `model`.
    Nested,
    /// Under `model`, beside an optimizer's two moments of every parameter, as Adam keeps them.
    WithOptimizer,
}

pub fn write<W: Write>(out: W, tensors: &[Tensor], nesting: Nesting) -> Result<W> {
    let pickle = pickle(tensors, nesting);
    let mut zip = ZipArchiveWriter::new(out);
    member(&mut zip, "checkpoint/data.pkl", |out| {
        out.write_all(&pickle)
    })?;
    member(&mut zip, "checkpoint/byteorder", |out| {
        out.write_all(b"little")
    })?;
    for (key, tensor) in tensors.iter().enumerate() {
        let name = format!("checkpoint/data/{key}");
        member(&mut zip, &name, |out| write_values(out, &tensor.values()))?;
    }
    if nesting == Nesting::WithOptimizer {
        for (index, (key, tensor)) in moments(tensors).enumerate() {
            let value = [1e-3, 1e-6][index % 2];
            let some = vec![value; tensor.elements().min(1 << 20)];
            member(&mut zip, &format!("checkpoint/data/{key}"), |out| {
                let mut left = tensor.elements();
                while left > 0 {
                    let now = left.min(some.len());
                    write_values(out, &some[..now])?;
                    left -= now;
                }
                Ok(())
            })?;
        }
    }
    member(&mut zip, "checkpoint/version", |out| out.write_all(b"3\n"))?;
    zip.finish().map_err(std::io::Error::other)
}

pub fn member<W: Write>(
    zip: &mut ZipArchiveWriter<W>,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let failed = std::io::Error::other::<rawzip::Error>;
    let file = zip
        .new_file(name)
        .compression_method(CompressionMethod::STORE);
    let (mut entry, config) = file.start().map_err(failed)?;
    let mut data = config.wrap(&mut entry);
    write(&mut data)?;
    let (_, descriptor) = data.finish().map_err(failed)?;
    entry.finish(descriptor).map_err(failed)?;
    Ok(())
}

/// Keys of the storages of the two moments of each parameter.
fn moments(tensors: &[Tensor]) -> impl Iterator<Item = (usize, &Tensor)> {
    let parameters = tensors.iter().filter(|tensor| !tensor.complex);
    let twice = parameters.flat_map(|tensor| [tensor, tensor]);
    twice
        .enumerate()
        .map(|(i, tensor)| (tensors.len() + i, tensor))
}

fn pickle(tensors: &[Tensor], nesting: Nesting) -> Vec<u8> {
    let mut out = Pickle(vec![0x80, 2]);
    if nesting == Nesting::Flat {
        out.state_dict(tensors);
        out.0.push(b'.');
        return out.0;
    }
    out.0.extend(b"}(");
    out.text("model");
    out.state_dict(tensors);
    if nesting == Nesting::WithOptimizer {
        out.text("optimizer");
        out.0.extend(b"}(");
        out.text("state");
        out.0.extend(b"}(");
        let mut moments = moments(tensors);
        let mut index = 0;
        while let (Some((first, tensor)), Some((second, _))) = (moments.next(), moments.next()) {
            out.int(index);
            out.0.extend(b"}(");
            out.text("exp_avg");
            out.tensor(first, tensor);
            out.text("exp_avg_sq");
            out.tensor(second, tensor);
            out.0.push(b'u');
            index += 1;
        }
        out.0.push(b'u');
        out.text("param_groups");
        out.0.extend(b"]}(");
        out.text("lr");
        out.0.push(b'G');
        out.0.extend(1e-5_f64.to_be_bytes());
        out.0.extend(b"ua");
        out.0.push(b'u');
    }
    out.text("epoch");
    out.int(19);
    out.0.extend(b"u.");
    out.0
}

struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn int(&mut self, value: usize) {
        match i32::try_from(value) {
            Ok(value) => {
                self.0.push(b'J');
                self.0.extend(value.to_le_bytes());
            }
            Err(_) => {
                self.0.extend([0x8a, 9]);
                self.0.extend((value as u64).to_le_bytes());
                self.0.push(0);
            }
        }
    }

    fn ints(&mut self, values: &[usize]) {
        self.0.push(b'(');
        for value in values {
            self.int(*value);
        }
        self.0.push(b't');
    }

    fn state_dict(&mut self, tensors: &[Tensor]) {
        self.0.extend(b"ccollections\nOrderedDict\n)R(");
        for (key, tensor) in tensors.iter().enumerate() {
            self.text(&tensor.name);
            self.tensor(key, tensor);
        }
        self.0.push(b'u');
    }

    fn tensor(&mut self, key: usize, tensor: &Tensor) {
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(if tensor.complex {
            b"ctorch\nComplexFloatStorage\n".as_slice()
        } else {
            b"ctorch\nFloatStorage\n".as_slice()
        });
        self.text(&key.to_string());
        self.text("cpu");
        self.int(tensor.elements());
        self.0.extend(b"tQ");
        self.int(0);
        self.ints(&tensor.shape);
        let mut strides = vec![1; tensor.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * tensor.shape[axis];
        }
        self.ints(&strides);
        self.0.push(0x89);
        self.0.extend(b"ccollections\nOrderedDict\n)RtR");
    }
}
