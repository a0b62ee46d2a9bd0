//! The stack machine: one instruction after the other, until STOP.

use std::collections::BTreeMap;

use super::super::CheckpointError;
use super::globals::{self, Global};
use super::input::Input;
use super::{Id, Object, Pickle, Storage, Tensor};

/// A checkpoint of 4,000 tensors makes 100,000 objects.
const OBJECT_LIMIT: usize = 8_000_000;
/// What a description of a tensor copies is bounded: a pickle can refer to one long text or tuple a million times.
const KEY_LIMIT: usize = 256;
const RANK_LIMIT: usize = 16;

struct Machine<'a> {
    input: Input<'a>,
    objects: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: BTreeMap<usize, Id>,
}

pub(super) fn run(bytes: &[u8]) -> Result<Pickle, CheckpointError> {
    let mut machine = Machine {
        input: Input::new(bytes),
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle {
        objects: machine.objects,
        root,
    })
}

impl Machine<'_> {
    /// False after STOP.
    fn step(&mut self) -> Result<bool, CheckpointError> {
        match self.input.byte()? {
            // PROTO, FRAME: nothing hangs on them here.
            0x80 => {
                self.input.take(1)?;
            }
            0x95 => {
                self.input.take(8)?;
            }
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Object::None)?,
            // NEWTRUE, NEWFALSE.
            0x88 | 0x89 => self.push(Object::Opaque)?,
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b']' => self.push(Object::List(Vec::new()))?,
            b')' => self.push(Object::Tuple(Vec::new()))?,
            // EMPTY_SET.
            0x8f => self.push(Object::Opaque)?,
            opcode => {
                let known = self.number(opcode)?
                    || self.text(opcode)?
                    || self.memory(opcode)?
                    || self.container(opcode)?
                    || self.object(opcode)?;
                if !known {
                    let reason =
                        format!("the instruction 0x{opcode:02x} is not used in checkpoints");
                    return Err(self.input.wrong(reason));
                }
            }
        }
        Ok(true)
    }

    fn number(&mut self, opcode: u8) -> Result<bool, CheckpointError> {
        let value = match opcode {
            b'J' => Some(i64::from(i32::from_le_bytes(self.input.array()?))),
            b'K' => Some(i64::from(self.input.byte()?)),
            b'M' => Some(self.input.u16()? as i64),
            0x8a => {
                let len = usize::from(self.input.byte()?);
                self.input.long(len)?
            }
            0x8b => {
                let len = self.input.u32()?;
                self.input.long(len)?
            }
            b'G' => {
                self.input.take(8)?;
                None
            }
            b'I' | b'L' => {
                let line = self.input.line()?;
                line.trim_end_matches('L').parse().ok()
            }
            b'F' => {
                self.input.line()?;
                None
            }
            _ => return Ok(false),
        };
        self.push(value.map_or(Object::Opaque, Object::Int))?;
        Ok(true)
    }

    /// Texts, and bytes, which no name or shape is made of.
    fn text(&mut self, opcode: u8) -> Result<bool, CheckpointError> {
        let len = match opcode {
            b'X' | b'T' | b'B' => self.input.u32()?,
            0x8c | b'U' | b'C' => usize::from(self.input.byte()?),
            0x8d | 0x8e | 0x96 => self.input.u64()?,
            b'V' => {
                let line = self.input.line()?.to_owned();
                self.push(Object::Text(line))?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let object = match opcode {
            b'X' | 0x8c | 0x8d => Object::Text(self.input.text(len)?.to_owned()),
            _ => {
                self.input.take(len)?;
                Object::Opaque
            }
        };
        self.push(object)?;
        Ok(true)
    }

    fn memory(&mut self, opcode: u8) -> Result<bool, CheckpointError> {
        let parse = |line: &str| line.parse::<usize>().ok();
        match opcode {
            b'q' | b'r' | b'p' | 0x94 => {
                let place = match opcode {
                    b'q' => usize::from(self.input.byte()?),
                    b'r' => self.input.u32()?,
                    b'p' => {
                        let place = parse(self.input.line()?);
                        place.ok_or_else(|| self.input.wrong("a place is not a number"))?
                    }
                    _ => self.memo.len(),
                };
                let top = self.top()?;
                self.memo.insert(place, top);
            }
            b'h' | b'j' | b'g' => {
                let place = match opcode {
                    b'h' => Some(usize::from(self.input.byte()?)),
                    b'j' => Some(self.input.u32()?),
                    _ => parse(self.input.line()?),
                };
                let known = place.and_then(|place| self.memo.get(&place).copied());
                let id = known.ok_or_else(|| self.input.wrong("a place holds nothing"))?;
                self.stack.push(id);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn container(&mut self, opcode: u8) -> Result<bool, CheckpointError> {
        match opcode {
            0x85..=0x87 => {
                let len = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(len);
                let start = start.ok_or_else(|| self.input.wrong("the stack is empty"))?;
                let items = self.stack.split_off(start);
                self.push(Object::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items))?;
            }
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Object::List(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Object::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            // APPENDS, ADDITEMS.
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            // FROZENSET.
            0x91 => {
                self.pop_mark()?;
                self.push(Object::Opaque)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn object(&mut self, opcode: u8) -> Result<bool, CheckpointError> {
        match opcode {
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(module), Object::Text(name)) = (self.get(module), self.get(name))
                else {
                    return Err(self.input.wrong("a global has no name"));
                };
                let (module, name) = (module.clone(), name.clone());
                self.global(&module, &name)?;
            }
            // INST names a class as GLOBAL does and builds it.
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                let arguments = self.pop_mark()?;
                self.global(module, name)?;
                let class = self.pop()?;
                self.build(class, &arguments)?;
            }
            // REDUCE, NEWOBJ.
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let Object::Tuple(arguments) = self.get(arguments).clone() else {
                    return Err(self.input.wrong("arguments are not a tuple"));
                };
                self.build(callable, &arguments)?;
            }
            // BUILD: attributes of an object. Those of a state dict are versions of its modules.
            b'b' => {
                self.pop()?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(storage))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), CheckpointError> {
        let global = globals::find(module, name).ok_or_else(|| CheckpointError::Global {
            name: format!("{module}.{name}"),
        })?;
        self.push(Object::Global(global))
    }

    /// What stands for calling `callable`.
    fn build(&mut self, callable: Id, arguments: &[Id]) -> Result<(), CheckpointError> {
        let Object::Global(global) = *self.get(callable) else {
            return Err(self.input.wrong("something is called that is no global"));
        };
        let object = match global {
            Global::RebuildTensor => Object::Tensor(self.tensor(arguments)?),
            Global::RebuildParameter => match arguments.first().map(|id| self.get(*id)) {
                Some(Object::Tensor(tensor)) => Object::Tensor(tensor.clone()),
                _ => return Err(self.input.wrong("a parameter is made of no tensor")),
            },
            // Filled by SETITEMS.
            Global::Dict => Object::Dict(Vec::new()),
            Global::Storage(_) => return Err(self.input.wrong("a storage is built from data")),
            Global::Inert => Object::Opaque,
        };
        self.push(object)
    }

    /// `("storage", type, key, device, elements)`.
    fn storage(&self, id: Id) -> Result<Storage, CheckpointError> {
        let wrong = || {
            self.input
                .wrong("a storage is not described as torch.save does")
        };
        let Object::Tuple(parts) = self.get(id) else {
            return Err(wrong());
        };
        let parts: Vec<&Object> = parts.iter().map(|id| self.get(*id)).collect();
        match parts.as_slice() {
            [
                Object::Text(kind),
                Object::Global(Global::Storage(element)),
                Object::Text(key),
                _,
                Object::Int(elements),
            ] if kind == "storage" && key.len() <= KEY_LIMIT => Ok(Storage {
                key: key.clone(),
                element: *element,
                elements: usize::try_from(*elements).map_err(|_negative| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }

    /// `(storage, offset, shape, strides, ...)`.
    fn tensor(&self, arguments: &[Id]) -> Result<Tensor, CheckpointError> {
        let wrong = || {
            self.input
                .wrong("a tensor is not described as torch.save does")
        };
        let parts: Vec<&Object> = arguments.iter().map(|id| self.get(*id)).collect();
        let [
            Object::Storage(storage),
            Object::Int(offset),
            shape,
            strides,
            ..,
        ] = parts.as_slice()
        else {
            return Err(wrong());
        };
        let sizes = |object: &Object| -> Option<Vec<usize>> {
            let Object::Tuple(items) = object else {
                return None;
            };
            if items.len() > RANK_LIMIT {
                return None;
            }
            let size = |id: &Id| match self.get(*id) {
                Object::Int(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            items.iter().map(size).collect()
        };
        let (shape, strides) = (
            sizes(shape).ok_or_else(wrong)?,
            sizes(strides).ok_or_else(wrong)?,
        );
        if shape.len() != strides.len() {
            return Err(wrong());
        }
        Ok(Tensor {
            storage: storage.clone(),
            offset: usize::try_from(*offset).map_err(|_negative| wrong())?,
            shape,
            strides,
        })
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), CheckpointError> {
        let top = self.top()?;
        match self.objects.get_mut(top.0 as usize) {
            Some(Object::List(list)) => list.extend(items),
            Some(Object::Opaque) => {}
            _ => return Err(self.input.wrong("something is appended to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.input.wrong("a key has no value"));
        }
        let top = self.top()?;
        match self.objects.get_mut(top.0 as usize) {
            Some(Object::Dict(dict)) => dict.extend(pairs.iter().map(|[k, v]| (*k, *v))),
            Some(Object::Opaque) => {}
            _ => return Err(self.input.wrong("an item is set in what is no dictionary")),
        }
        Ok(())
    }

    fn push(&mut self, object: Object) -> Result<(), CheckpointError> {
        if self.objects.len() >= OBJECT_LIMIT {
            return Err(self.input.wrong("it has more objects than any checkpoint"));
        }
        self.stack.push(Id(self.objects.len() as u32));
        self.objects.push(object);
        Ok(())
    }

    fn get(&self, id: Id) -> &Object {
        self.objects.get(id.0 as usize).unwrap_or(&Object::Opaque)
    }

    fn top(&self) -> Result<Id, CheckpointError> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| self.input.wrong("the stack is empty"))
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        let top = self.stack.pop();
        top.ok_or_else(|| self.input.wrong("the stack is empty"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let start = self.marks.pop().filter(|start| *start <= self.stack.len());
        let start = start.ok_or_else(|| self.input.wrong("no mark is open"))?;
        Ok(self.stack.split_off(start))
    }
}
