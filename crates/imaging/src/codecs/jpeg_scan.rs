//! Whether the scans of a Huffman-coded DCT JPEG are whole (ITU-T T.81 annexes F and G): every code is one of
//! its table, every block is there, restart markers come in turn, and nothing is left over. Decoders fill the
//! rest of a damaged scan with gray, which a model would take for tissue. Nothing is reconstructed here.

mod bits;
mod blocks;

use bits::{Bits, Table};
use blocks::{Component, Scan};

/// Scans beyond which a stream is taken for an attack; encoders write ten or so.
const MAX_SCANS: usize = 100;
/// Huffman tables likewise; a lookup is built for each.
const MAX_TABLES: usize = 2000;
/// Bytes between the last block and the next marker that are let pass.
const MAX_LEFT_OVER: usize = 16;

/// Tables and components as they are while a stream is read.
#[derive(Default)]
struct State {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    components: Vec<Component>,
    rows: usize,
    columns: usize,
    progressive: bool,
    restart_interval: usize,
}

/// Whether all scans up to the end of the image can be read. Streams of other processes count as whole: their
/// decoders fail by themselves.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    read(bytes).is_some()
}

fn word(body: &[u8], at: usize) -> Option<usize> {
    let bytes = body.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_be_bytes(bytes.try_into().ok()?)))
}

fn read(bytes: &[u8]) -> Option<()> {
    let mut state = State::default();
    let (mut scans, mut tables) = (0, 0);
    let mut at = 2usize;
    loop {
        while *bytes.get(at)? == 0xFF && *bytes.get(at + 1)? == 0xFF {
            at += 1;
        }
        if *bytes.get(at)? != 0xFF {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        if marker == 0xD9 {
            return (scans > 0).then_some(());
        }
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            at += 2;
            continue;
        }
        let end = at.checked_add(2)?.checked_add(word(bytes, at + 2)?)?;
        let body = bytes.get(at + 4..end)?;
        at = end;
        match marker {
            0xC0..=0xC2 if state.start_of_frame(marker, body)? => {}
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Some(()),
            0xC4 => tables += state.huffman_tables(body)?,
            0xDD => state.restart_interval = word(body, 0)?,
            0xDA => {
                at += state.scan(body, bytes.get(at..)?)?;
                scans += 1;
                // A decoder stops at the last scan; some writers leave out the end of the image.
                if bytes.len() <= at {
                    return Some(());
                }
            }
            _ => {}
        }
        if scans > MAX_SCANS || tables > MAX_TABLES {
            return None;
        }
    }
}

impl State {
    /// Says whether the frame can be checked: its number of lines may follow the scan.
    fn start_of_frame(&mut self, marker: u8, body: &[u8]) -> Option<bool> {
        self.progressive = marker == 0xC2;
        (self.rows, self.columns) = (word(body, 1)?, word(body, 3)?);
        let pixels = crate::limits::frame_pixels(self.columns as u64, self.rows as u64);
        if self.rows == 0 || self.columns == 0 || pixels.is_err() {
            return Some(false);
        }
        let parts = body.get(6..)?.chunks_exact(3);
        if parts.len() != usize::from(*body.get(5)?) || !self.components.is_empty() {
            return None;
        }
        for part in parts {
            let &[id, sampling, _] = part else {
                return None;
            };
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return None;
            }
            self.components.push(Component::new(id, across, down));
        }
        let most = |side: fn(&Component) -> usize| self.components.iter().map(side).max();
        let (across, down) = (most(|c| c.across)?, most(|c| c.down)?);
        let units = (
            self.columns.div_ceil(8 * across),
            self.rows.div_ceil(8 * down),
        );
        for component in &mut self.components {
            component.size(
                self.columns,
                self.rows,
                (across, down),
                units,
                self.progressive,
            );
        }
        Some(true)
    }

    /// Takes the tables of a segment; gives their number.
    fn huffman_tables(&mut self, mut body: &[u8]) -> Option<usize> {
        let mut count = 0;
        while let Some((&kind, rest)) = body.split_first() {
            let lengths: &[u8; 16] = rest.first_chunk()?;
            let total: usize = lengths.iter().map(|&n| usize::from(n)).sum();
            let values = rest.get(16..16 + total)?;
            let tables = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables.get_mut(usize::from(kind & 15))? = Some(Table::new(lengths, values)?);
            body = rest.get(16 + total..)?;
            count += 1;
        }
        Some(count)
    }

    /// Reads one scan; gives the number of its bytes.
    fn scan(&mut self, body: &[u8], data: &[u8]) -> Option<usize> {
        let count = usize::from(*body.first()?);
        let mut members = Vec::new();
        for selector in body.get(1..1 + 2 * count)?.chunks_exact(2) {
            let &[id, tables] = selector else {
                return None;
            };
            let index = self.components.iter().position(|c| c.id == id)?;
            members.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let &[first, last, approximation] = body.get(1 + 2 * count..)?.first_chunk()?;
        let scan = Scan {
            progressive: self.progressive,
            first: if self.progressive {
                usize::from(first)
            } else {
                0
            },
            last: if self.progressive {
                usize::from(last)
            } else {
                63
            },
            refines: approximation >> 4 != 0,
        };
        if scan.last > 63 || scan.first > scan.last {
            return None;
        }
        let mut bits = Bits::new(data);
        let units = match members.as_slice() {
            [] => return None,
            [(index, ..)] => self.components.get(*index)?.own_blocks(),
            _ => self.components.first()?.units(),
        };
        let total = units.0.checked_mul(units.1)?;
        let mut end_of_band = 0;
        for unit in 0..total {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                let turn = (unit / self.restart_interval - 1) % 8;
                bits.restart(turn as u8, MAX_LEFT_OVER)?;
                end_of_band = 0;
            }
            let (x, y) = (unit % units.0, unit / units.0);
            for &(index, dc, ac) in &members {
                let tables = (self.dc.get(dc)?.as_ref(), self.ac.get(ac)?.as_ref());
                let component = self.components.get_mut(index)?;
                let (across, down) = if members.len() == 1 {
                    (1, 1)
                } else {
                    (component.across, component.down)
                };
                for down_at in 0..down {
                    for across_at in 0..across {
                        let at = (x * across + across_at, y * down + down_at);
                        let known = component.known(at);
                        scan.block(&mut bits, tables, known, &mut end_of_band)?;
                    }
                }
            }
        }
        bits.end(MAX_LEFT_OVER)
    }
}
