//! MCAP records taken apart, bounds checked: a damaged file is the usual input here.

/// Reads fields off the front of a record.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read.
    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N as u64)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()?;
        std::str::from_utf8(self.take(u64::from(length))?).ok()
    }
}

/// One record: where it begins, its opcode and its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) at: usize,
    pub(super) opcode: u8,
    pub(super) body: &'a [u8],
}

/// The records of a file's or a chunk's bytes, until one does not fit.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// The records from byte `at` of `all` on.
    pub(super) fn new(all: &'a [u8], at: usize) -> Self {
        Self { all, at }
    }

    /// Where the next record begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is left over.
    pub(super) fn done(&self) -> bool {
        self.at >= self.all.len()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let at = self.at;
        let mut fields = Fields::new(self.all.get(at..)?);
        let [opcode] = fields.array()?;
        let length = fields.u64()?;
        let body = fields.take(length)?;
        self.at = self.all.len() - fields.rest().len();
        Some(Raw { at, opcode, body })
    }
}
