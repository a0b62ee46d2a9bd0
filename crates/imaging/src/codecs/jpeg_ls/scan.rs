//! Samples of one JPEG-LS scan (T.87 A.3 to A.8): prediction, regular and run mode, over the lines of one or
//! more components. In: the bytes behind a scan header. Out: a plane `[rows, columns]` per component.

use super::bits::Bits;
use super::model::{Context, Parameters, RunContext};

/// Order of run length blocks (A.7.1.1).
const RUN_ORDER: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Two lines of one component with a sample more on both sides: sample x is at index x + 1.
struct Lines {
    above: Vec<i32>,
    current: Vec<i32>,
    run_index: usize,
}

/// The neighbours of a sample (figure A.1).
#[derive(Clone, Copy)]
struct Neighbours {
    left: i32,
    above: i32,
    above_left: i32,
    above_right: i32,
}

impl Lines {
    fn new(columns: usize) -> Self {
        Self {
            above: vec![0; columns + 2],
            current: vec![0; columns + 2],
            run_index: 0,
        }
    }

    /// Makes the last line the one above, and fills the samples beyond both ends (A.2.1).
    fn next_line(&mut self, columns: usize) {
        std::mem::swap(&mut self.above, &mut self.current);
        let (first, last) = (at(&self.above, 1), at(&self.above, columns));
        set(&mut self.current, 0, first);
        set(&mut self.above, columns + 1, last);
    }

    fn neighbours(&self, x: usize) -> Neighbours {
        Neighbours {
            left: at(&self.current, x),
            above: at(&self.above, x + 1),
            above_left: at(&self.above, x),
            above_right: at(&self.above, x + 2),
        }
    }
}

fn at(line: &[i32], index: usize) -> i32 {
    line.get(index).copied().unwrap_or_default()
}

fn set(line: &mut [i32], index: usize, value: i32) {
    if let Some(slot) = line.get_mut(index) {
        *slot = value;
    }
}

impl Neighbours {
    /// The median edge detector (A.4.1).
    fn prediction(self) -> i32 {
        let (low, high) = (self.left.min(self.above), self.left.max(self.above));
        if self.above_left >= high {
            low
        } else if self.above_left <= low {
            high
        } else {
            self.left + self.above - self.above_left
        }
    }

    fn context(self, parameters: &Parameters) -> i32 {
        parameters.context([
            self.above_right - self.above,
            self.above - self.above_left,
            self.above_left - self.left,
        ])
    }
}

/// The statistics, which all components of a scan share.
struct Decoder<'a> {
    bits: Bits<'a>,
    parameters: &'a Parameters,
    contexts: Vec<Context>,
    run_contexts: [RunContext; 2],
}

/// Decodes `count` components of `(rows, columns)`, interleaved by line or by sample; with them comes the number
/// of bytes used. `None` where the data ends early or contradicts itself.
pub(super) fn decode(
    bytes: &[u8],
    parameters: &Parameters,
    (rows, columns): (usize, usize),
    count: usize,
    by_sample: bool,
) -> Option<(Vec<Vec<u16>>, usize)> {
    let mut decoder = Decoder {
        bits: Bits::new(bytes),
        parameters,
        contexts: vec![Context::new(parameters); 365],
        run_contexts: [
            RunContext::new(parameters, false),
            RunContext::new(parameters, true),
        ],
    };
    let mut lines: Vec<Lines> = (0..count).map(|_| Lines::new(columns)).collect();
    // Grown line by line: a stream that ends early has cost no more than it holds.
    let mut planes: Vec<Vec<u16>> = vec![Vec::new(); count];
    for _ in 0..rows {
        for component in &mut lines {
            component.next_line(columns);
        }
        if by_sample {
            decoder.line(&mut lines, columns)?;
        } else {
            for component in lines.chunks_mut(1) {
                decoder.line(component, columns)?;
            }
        }
        for (component, plane) in lines.iter().zip(&mut planes) {
            let line = component.current.get(1..=columns)?;
            // Samples are clamped to at most 16 bits.
            plane.extend(line.iter().map(|&sample| sample as u16));
        }
    }
    Some((planes, decoder.bits.used()))
}

impl Decoder<'_> {
    /// One line of components that are interleaved by sample, or of a single one.
    fn line(&mut self, lines: &mut [Lines], columns: usize) -> Option<()> {
        let mut x = 0;
        while x < columns {
            let flat = lines
                .iter()
                .all(|line| line.neighbours(x).context(self.parameters) == 0);
            if flat {
                x = self.run(lines, x, columns)?;
                continue;
            }
            for line in lines.iter_mut() {
                let sample = self.regular(line.neighbours(x))?;
                set(&mut line.current, x + 1, sample);
            }
            x += 1;
        }
        Some(())
    }

    /// One sample of the regular mode (A.4 to A.6).
    fn regular(&mut self, neighbours: Neighbours) -> Option<i32> {
        let parameters = self.parameters;
        let signed = neighbours.context(parameters);
        let sign = if signed < 0 { -1 } else { 1 };
        let context = self
            .contexts
            .get_mut(usize::try_from(signed.unsigned_abs()).ok()?)?;
        let prediction = neighbours.prediction() + sign * context.correction;
        let prediction = prediction.clamp(0, parameters.max_value);
        let parameter = context.golomb_parameter();
        let mapped = self
            .bits
            .golomb(parameter, parameters.limit, parameters.error_bits)?;
        let error = context.error(mapped, parameter, parameters.near);
        // A damaged stream can hold errors that no encoder writes.
        if error.abs() > parameters.range {
            return None;
        }
        context.update(error, parameters);
        Some(parameters.sample(prediction, sign * error))
    }

    /// A run from `x`, and the sample that interrupts it (A.7). Gives the next x.
    fn run(&mut self, lines: &mut [Lines], x: usize, columns: usize) -> Option<usize> {
        let run_index = &mut lines.first_mut()?.run_index;
        let length = run_length(&mut self.bits, run_index, columns - x)?;
        for line in lines.iter_mut() {
            let left = at(&line.current, x);
            line.current.get_mut(x + 1..=x + length)?.fill(left);
        }
        let x = x + length;
        if x == columns {
            return Some(x);
        }
        let order = *RUN_ORDER.get(lines.first()?.run_index)?;
        let single = lines.len() == 1;
        for line in lines.iter_mut() {
            let Neighbours { left, above, .. } = line.neighbours(x);
            let alike = single && (left - above).abs() <= self.parameters.near;
            let [apart, same] = &mut self.run_contexts;
            let context = if alike { same } else { apart };
            let parameter = context.golomb_parameter();
            let limit = self.parameters.limit - order as i32 - 1;
            let mapped = self
                .bits
                .golomb(parameter, limit, self.parameters.error_bits)?;
            let error = context.error(mapped, parameter, self.parameters);
            if error.abs() > self.parameters.range {
                return None;
            }
            let sample = if alike {
                self.parameters.sample(left, error)
            } else {
                let sign = if above < left { -1 } else { 1 };
                self.parameters.sample(above, sign * error)
            };
            set(&mut line.current, x + 1, sample);
        }
        let run_index = &mut lines.first_mut()?.run_index;
        *run_index = run_index.saturating_sub(1);
        Some(x + 1)
    }
}

/// Number of samples of a run of at most `rest` (A.7.1).
fn run_length(bits: &mut Bits<'_>, run_index: &mut usize, rest: usize) -> Option<usize> {
    let mut length = 0;
    while bits.bit()? == 1 {
        let block = 1usize << RUN_ORDER.get(*run_index)?;
        if block <= rest - length {
            length += block;
            *run_index = (*run_index + 1).min(RUN_ORDER.len() - 1);
        } else {
            length = rest;
        }
        if length == rest {
            return Some(length);
        }
    }
    length += usize::try_from(bits.number(*RUN_ORDER.get(*run_index)?)?).ok()?;
    (length <= rest).then_some(length)
}
