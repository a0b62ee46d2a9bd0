//! Blocks of 8 x 8 coefficients: how many a component has (ITU-T T.81 A.2), and the codes of one (F.2 and G.2).
//! Of a progressive stream, which coefficients are not zero is kept, as later scans depend on it.

use super::bits::{Bits, Table};

/// One component and its blocks.
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: usize,
    pub(super) down: usize,
    /// Blocks that the component itself needs.
    own: (usize, usize),
    units: (usize, usize),
    /// Bit k: coefficient k of the block is known not to be zero. Empty for sequential streams.
    known: Vec<u64>,
    sequential: u64,
}

impl Component {
    pub(super) fn new(id: u8, across: usize, down: usize) -> Self {
        Self {
            id,
            across,
            down,
            own: (0, 0),
            units: (0, 0),
            known: Vec::new(),
            sequential: 0,
        }
    }

    pub(super) fn size(
        &mut self,
        columns: usize,
        rows: usize,
        most: (usize, usize),
        units: (usize, usize),
        progressive: bool,
    ) {
        let side = |pixels: usize, factor: usize, most: usize| {
            (pixels * factor).div_ceil(most).div_ceil(8)
        };
        self.own = (
            side(columns, self.across, most.0),
            side(rows, self.down, most.1),
        );
        self.units = units;
        if progressive {
            let blocks = units.0 * self.across * units.1 * self.down;
            self.known = vec![0; blocks];
        }
    }

    pub(super) fn own_blocks(&self) -> (usize, usize) {
        self.own
    }

    /// Minimum coded units of an interleaved scan, across and down.
    pub(super) fn units(&self) -> (usize, usize) {
        self.units
    }

    /// What is known of the block at `(x, y)`.
    pub(super) fn known(&mut self, (x, y): (usize, usize)) -> &mut u64 {
        let index = y * self.units.0 * self.across + x;
        self.known.get_mut(index).unwrap_or(&mut self.sequential)
    }
}

/// Header of a scan.
pub(super) struct Scan {
    pub(super) progressive: bool,
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) refines: bool,
}

impl Scan {
    /// Reads one block; `None` where its codes are wrong or cut.
    pub(super) fn block(
        &self,
        bits: &mut Bits<'_>,
        (dc, ac): (Option<&Table>, Option<&Table>),
        known: &mut u64,
        end_of_band: &mut u32,
    ) -> Option<()> {
        if self.first == 0 {
            if self.refines {
                bits.number(1)?;
            } else {
                let size = u32::from(bits.code(dc?)?);
                if size > 16 {
                    return None;
                }
                bits.number(size)?;
            }
            if self.progressive {
                return Some(());
            }
        }
        if !self.progressive {
            return self.band(bits, ac?, known, &mut 0, 1);
        }
        if self.refines {
            self.refinement(bits, ac?, known, end_of_band)
        } else {
            self.band(bits, ac?, known, end_of_band, self.first)
        }
    }

    /// Coefficients from `start` on for the first time.
    fn band(
        &self,
        bits: &mut Bits<'_>,
        ac: &Table,
        known: &mut u64,
        end_of_band: &mut u32,
        start: usize,
    ) -> Option<()> {
        if *end_of_band > 0 {
            *end_of_band -= 1;
            return Some(());
        }
        let mut at = start;
        while at <= self.last {
            let code = bits.code(ac)?;
            let (run, size) = (u32::from(code >> 4), u32::from(code & 15));
            if size > 0 {
                at += run as usize;
                if at > self.last {
                    return None;
                }
                bits.number(size)?;
                *known |= 1 << at;
                at += 1;
            } else if run == 15 {
                at += 16;
            } else if self.progressive {
                *end_of_band = (1 << run) + bits.number(run)? - 1;
                break;
            } else {
                // Sequential: end of block.
                break;
            }
        }
        Some(())
    }

    /// One more bit of the coefficients that are known, and new ones of magnitude 1.
    fn refinement(
        &self,
        bits: &mut Bits<'_>,
        ac: &Table,
        known: &mut u64,
        end_of_band: &mut u32,
    ) -> Option<()> {
        let mut at = self.first;
        while at <= self.last && *end_of_band == 0 {
            let code = bits.code(ac)?;
            let (mut run, size) = (u32::from(code >> 4), code & 15);
            match size {
                0 if run < 15 => {
                    *end_of_band = (1 << run) + bits.number(run)?;
                    break;
                }
                0 => {}
                1 => {
                    bits.number(1)?;
                }
                _ => return None,
            }
            while at <= self.last {
                if *known >> at & 1 == 1 {
                    bits.number(1)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if size == 1 {
                if at > self.last {
                    return None;
                }
                *known |= 1 << at;
            }
            at += 1;
        }
        if *end_of_band > 0 {
            while at <= self.last {
                if *known >> at & 1 == 1 {
                    bits.number(1)?;
                }
                at += 1;
            }
            *end_of_band -= 1;
        }
        Some(())
    }
}
