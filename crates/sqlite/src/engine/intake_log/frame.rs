//! The bytes of a segment: a header in its first page, then batches, each from the start of a page on.
//!
//! A batch is what was written and synced at once, so it is whole or was never answered: its checksum is over all of it.
//! A batch behind another says that the other had been synced; so what cannot be read is the torn end of the log where
//! nothing whole comes behind it, and damage where something does. Checksums begin with a number that is drawn anew for
//! every use of a file: neither what its last use has left nor what somebody sends passes for a batch.

use std::ops::Range;

/// Batches begin at a multiple of this, so that no page is written again that holds something synced.
pub(super) const PAGE: usize = 4096;

/// The most bytes of a segment's file.
pub(super) const SEGMENT_BYTES: usize = 4 << 20;

const MAGIC: [u8; 8] = *b"AcstLog1";
const SEGMENT_HEADER: usize = 48;
/// Of a batch: nonce, place, length, checksum.
pub(super) const BATCH_HEADER: usize = 32;
const CHECKSUM_AT: usize = 24;

/// What a segment begins with. It is synced before the first batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Segments are numbered in the order of their use.
    pub(super) number: u64,
    /// Drawn for this use of the file.
    pub(super) nonce: u64,
    /// The segment before, by its nonce, and where it ended.
    pub(super) previous: (u64, u64),
}

/// What a segment's bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SegmentContent {
    /// It was never used.
    Unused,
    Used {
        header: SegmentHeader,
        /// Where the bytes of each batch's records stand.
        batches: Vec<Range<usize>>,
        /// Where the next batch would begin.
        end: usize,
    },
}

/// Something that was synced cannot be read any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogDamage(pub(super) String);

impl SegmentHeader {
    /// The first page of the segment.
    pub(super) fn page(self) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..8].copy_from_slice(&MAGIC);
        page[8..16].copy_from_slice(&self.number.to_le_bytes());
        page[16..24].copy_from_slice(&self.nonce.to_le_bytes());
        page[24..32].copy_from_slice(&self.previous.0.to_le_bytes());
        page[32..40].copy_from_slice(&self.previous.1.to_le_bytes());
        let sum = checksum(self.nonce, &page[..40]);
        page[40..SEGMENT_HEADER].copy_from_slice(&sum.to_le_bytes());
        page
    }

    fn read(image: &[u8]) -> Option<Self> {
        let previous = (word(image, 24)?, word(image, 32)?);
        let header = Self { number: word(image, 8)?, nonce: word(image, 16)?, previous };
        let is_whole = image[..8] == MAGIC && word(image, 40)? == checksum(header.nonce, &image[..40]);
        is_whole.then_some(header)
    }
}

/// Makes a batch of records, which stand in `frame` behind room for the batch's header, ready for its place: header,
/// records, and zeros up to the end of a page.
pub(super) fn seal(frame: &mut Vec<u8>, nonce: u64, place: usize) {
    let length = frame.len() - BATCH_HEADER;
    frame[..8].copy_from_slice(&nonce.to_le_bytes());
    frame[8..16].copy_from_slice(&(place as u64).to_le_bytes());
    frame[16..24].copy_from_slice(&(length as u64).to_le_bytes());
    let sum = batch_checksum(frame, nonce);
    frame[CHECKSUM_AT..BATCH_HEADER].copy_from_slice(&sum.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(PAGE), 0);
}

/// Reads a segment.
pub(super) fn scan(image: &[u8]) -> Result<SegmentContent, LogDamage> {
    let Some(header) = SegmentHeader::read(image) else {
        // The header of a new file is the first that is written to it.
        let is_unused = image.iter().take(PAGE).all(|byte| *byte == 0);
        return if is_unused { Ok(SegmentContent::Unused) } else { Err(LogDamage("its header is damaged".to_owned())) };
    };
    let mut batches = Vec::new();
    let mut end = PAGE;
    while let Some(records) = batch_at(image, header.nonce, end) {
        end = records.end.next_multiple_of(PAGE);
        batches.push(records);
    }
    let behind = (end..image.len()).step_by(PAGE).skip(1);
    match behind.into_iter().find(|place| batch_at(image, header.nonce, *place).is_some()) {
        Some(whole) => Err(LogDamage(format!("it cannot be read at byte {end}, and goes on at byte {whole}"))),
        None => Ok(SegmentContent::Used { header, batches, end }),
    }
}

/// Where the records of the batch stand that begins at this place; none where there is no whole one.
fn batch_at(image: &[u8], nonce: u64, place: usize) -> Option<Range<usize>> {
    if word(image, place)? != nonce || word(image, place + 8)? != place as u64 {
        return None;
    }
    let length = usize::try_from(word(image, place + 16)?).ok()?;
    let end = place.checked_add(BATCH_HEADER)?.checked_add(length)?;
    let frame = image.get(place..end)?;
    let is_whole = word(frame, CHECKSUM_AT)? == batch_checksum(frame, nonce);
    is_whole.then_some(place + BATCH_HEADER..end)
}

fn batch_checksum(frame: &[u8], nonce: u64) -> u64 {
    checksum(checksum(nonce, &frame[..CHECKSUM_AT]), &frame[BATCH_HEADER..])
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// SQLite's checksum of its own write-ahead log, from a seed on.
fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    let [mut first, mut second] = halves(seed.to_le_bytes());
    for chunk in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        let [low, high] = halves(padded);
        first = first.wrapping_add(low).wrapping_add(second);
        second = second.wrapping_add(high).wrapping_add(first);
    }
    u64::from(first) | (u64::from(second) << 32)
}

const fn halves(bytes: [u8; 8]) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: SegmentHeader = SegmentHeader { number: 3, nonce: 0x1234_5678_9abc_def0, previous: (5, 8192) };
    const PAGES: usize = 12;

    fn frame(records: &[u8], place: usize) -> Vec<u8> {
        let mut frame = [vec![0; BATCH_HEADER], records.to_vec()].concat();
        seal(&mut frame, HEADER.nonce, place);
        frame
    }

    /// A segment with these batches, on top of what its last use has left, and where each begins.
    fn segment(batches: &[Vec<u8>], left: u8) -> (Vec<u8>, Vec<usize>) {
        let mut image = vec![left; PAGES * PAGE];
        image[..PAGE].copy_from_slice(&HEADER.page());
        let (mut end, mut places) = (PAGE, Vec::new());
        for records in batches {
            let frame = frame(records, end);
            image[end..end + frame.len()].copy_from_slice(&frame);
            places.push(end);
            end += frame.len();
        }
        places.push(end);
        (image, places)
    }

    fn records(image: &[u8]) -> Result<Vec<Vec<u8>>, LogDamage> {
        match scan(image)? {
            SegmentContent::Unused => Ok(Vec::new()),
            SegmentContent::Used { header, batches, .. } => {
                assert_eq!(header, HEADER);
                Ok(batches.into_iter().map(|records| image[records].to_vec()).collect())
            }
        }
    }

    fn sample() -> Vec<Vec<u8>> {
        vec![vec![1; 100], vec![2; PAGE], vec![3; 3 * PAGE + 7]]
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for left in [0, 0xa5] {
            let (image, _) = segment(&sample(), left);
            assert_eq!(records(&image), Ok(sample()));
        }
        assert_eq!(scan(&vec![0; PAGES * PAGE]), Ok(SegmentContent::Unused));
        assert_eq!(scan(&[]), Ok(SegmentContent::Unused), "a file that was only made");
    }

    #[test]
    fn of_a_last_batch_that_is_cut_off_anywhere_nothing_is_read() {
        let (image, places) = segment(&sample(), 0);
        let [.., begin, _] = places[..] else { unreachable!() };
        // Zeros behind its own end belong to no record.
        for length in 0..BATCH_HEADER + 3 * PAGE + 7 {
            let mut torn = image.clone();
            torn[begin + length..].fill(0);
            assert_eq!(records(&torn), Ok(sample()[..2].to_vec()), "{length}");
        }
    }

    #[test]
    fn a_batch_of_the_files_last_use_is_none() {
        let (mut image, places) = segment(&sample(), 0);
        let anew = SegmentHeader { number: 9, nonce: 77, previous: (0, 0) };
        image[..PAGE].copy_from_slice(&anew.page());
        let mut first = [vec![0; BATCH_HEADER], vec![7; 5]].concat();
        seal(&mut first, anew.nonce, PAGE);
        image[places[0]..places[0] + first.len()].copy_from_slice(&first);
        let SegmentContent::Used { header, batches, end } = scan(&image).unwrap() else { unreachable!() };
        assert_eq!((header, batches.len(), end), (anew, 1, 2 * PAGE));
    }

    #[test]
    fn a_batch_stands_for_itself_at_its_own_place_alone() {
        let (mut image, places) = segment(&sample(), 0);
        let copy = image[places[0]..places[1]].to_vec();
        image[places[3]..places[3] + copy.len()].copy_from_slice(&copy);
        assert_eq!(records(&image), Ok(sample()));
    }

    #[test]
    fn damage_before_the_end_and_to_the_header_is_told() {
        let (image, places) = segment(&sample(), 0);
        for at in [places[0], places[0] + 20, places[0] + BATCH_HEADER, places[1] + 2_000, 9, 33, 44] {
            let mut damaged = image.clone();
            damaged[at] ^= 1;
            assert!(scan(&damaged).is_err(), "{at}");
        }
    }

    proptest! {
        /// Of what was not synced any pages may be there and others not: the last batch is there or is not, and what
        /// was synced before is.
        #[test]
        fn a_batch_of_which_some_pages_were_lost_is_whole_or_is_not_there(
            lengths in prop::collection::vec(0..2 * PAGE, 1..4),
            kept in prop::collection::vec(any::<bool>(), PAGES),
            // No byte of a record: a page that was lost is not there by chance.
            left in 200..=u8::MAX,
        ) {
            let batches: Vec<Vec<u8>> = lengths.iter().zip(1..).map(|(length, byte)| vec![byte; *length]).collect();
            let (before, synced) = batches.split_at(batches.len() - 1);
            prop_assert_eq!(synced.len(), 1);
            let (mut image, _) = segment(before, left);
            let (written, _) = segment(&batches, left);
            for page in (0..PAGES).filter(|page| kept[*page]) {
                image[page * PAGE..(page + 1) * PAGE].copy_from_slice(&written[page * PAGE..(page + 1) * PAGE]);
            }
            let found = records(&image).unwrap();
            let expected = if image == written { &batches[..] } else { before };
            prop_assert_eq!(found, expected);
        }
    }
}
