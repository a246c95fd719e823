//! The log's files in the data folder: made whole before they are used, used again once nobody needs what they hold.
//! In the steady state nothing is allocated: a batch overwrites pages that are there, and a sync has their data to carry
//! and nothing else.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::frame::{BATCH_HEADER, LogDamage, PAGE, SEGMENT_BYTES, SegmentContent, SegmentHeader, scan, seal};
use crate::engine::failpoints::pass;
use crate::open::create_private;

/// So many files are kept that hold nothing any more; others are removed.
const SPARE_MAX: usize = 2;
/// What the log's files are called: `intake-0.log`.
const PREFIX: &str = "intake-";
const SUFFIX: &str = ".log";

/// A batch of more records does not fit into a segment.
pub(super) const BATCH_BYTES_MAX: usize = SEGMENT_BYTES - PAGE - BATCH_HEADER;

/// Why the log's files cannot be read.
#[derive(Debug)]
pub(crate) enum SegmentError {
    Io(io::Error),
    Damage { file: PathBuf, why: String },
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The files of a log that is written to.
#[derive(Debug)]
pub(super) struct SegmentFiles {
    dir: PathBuf,
    current: Option<CurrentSegment>,
    sealed: Vec<SealedSegment>,
    spare: Vec<SegmentFile>,
    next_slot: u32,
    next_number: u64,
}

#[derive(Debug)]
struct SegmentFile {
    path: PathBuf,
    file: File,
}

#[derive(Debug)]
struct CurrentSegment {
    file: SegmentFile,
    header: SegmentHeader,
    /// Where the next batch begins. One that failed is overwritten by the next.
    end: usize,
    /// What comes next belongs into another segment, whose header may tell already where this one ends.
    is_full: bool,
    last_seq: i64,
}

/// A segment that is full.
#[derive(Debug)]
struct SealedSegment {
    file: SegmentFile,
    last_seq: i64,
}

/// Reads the records of every batch in a folder, in their order. Nothing is changed; the log may be in use.
pub(super) fn read_batches(dir: &Path) -> Result<Vec<Vec<u8>>, SegmentError> {
    let mut segments = Vec::new();
    for (_, path) in list(dir)? {
        let image = match fs::read(&path) {
            Ok(image) => image,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        match scan(&image) {
            Ok(SegmentContent::Unused) => {}
            Ok(SegmentContent::Used { header, batches, end }) => {
                let batches = batches.into_iter().map(|records| (records.start as u64, image[records].to_vec()));
                segments.push(ReadSegment { header, end: end as u64, batches: batches.collect(), path });
            }
            Err(LogDamage(why)) => return Err(SegmentError::Damage { file: path, why }),
        }
    }
    segments.sort_unstable_by_key(|segment| segment.header.number);
    let ends: HashMap<u64, u64> = segments.iter().map(|segment| segment.header.previous).collect();
    for segment in &mut segments {
        ends.get(&segment.header.nonce).map_or(Ok(()), |end| segment.end_at(*end))?;
    }
    Ok(segments.into_iter().flat_map(|segment| segment.batches).map(|(_, records)| records).collect())
}

/// A segment as it was read.
struct ReadSegment {
    header: SegmentHeader,
    end: u64,
    /// Where each begins, and its records.
    batches: Vec<(u64, Vec<u8>)>,
    path: PathBuf,
}

impl ReadSegment {
    /// Holds it against where it ended as its successor has it. What failed there, and was answered so, may be whole in
    /// it all the same.
    fn end_at(&mut self, end: u64) -> Result<(), SegmentError> {
        if self.end < end {
            let why = format!("it cannot be read at byte {}, and was written to byte {end}", self.end);
            return Err(SegmentError::Damage { file: self.path.clone(), why });
        }
        self.batches.retain(|(begin, _)| *begin < end);
        Ok(())
    }
}

/// The slots that have a file.
fn list(dir: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let slot = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        found.extend(slot.map(|slot| (slot, dir.join(&name))));
    }
    Ok(found)
}

impl SegmentFiles {
    /// Begins anew with the files that stand in a folder. What they hold is not needed any more, and not read again.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let (dir, current, sealed, spare) = (dir.to_owned(), None, Vec::new(), Vec::new());
        let mut files = Self { dir, current, sealed, spare, next_slot: 0, next_number: 0 };
        for (slot, path) in list(&files.dir)? {
            files.next_slot = files.next_slot.max(slot + 1);
            let file = SegmentFile { file: create_private(&path)?, path };
            if files.spare.len() < SPARE_MAX && file.file.metadata()?.len() == SEGMENT_BYTES as u64 {
                file.file.write_all_at(&[0; PAGE], 0)?;
                file.file.sync_data()?;
                files.spare.push(file);
            } else {
                fs::remove_file(&file.path)?;
            }
        }
        File::open(&files.dir)?.sync_all()?;
        Ok(files)
    }

    /// Writes a batch and syncs it. `frame`: its records behind room for the header. Where it fails, the next batch takes
    /// its place.
    pub(super) fn append(&mut self, frame: &mut Vec<u8>, last_seq: i64) -> io::Result<()> {
        let needed = frame.len().next_multiple_of(PAGE);
        if let Some(current) = &mut self.current {
            current.is_full |= current.end + needed > SEGMENT_BYTES;
        }
        if self.current.as_ref().is_none_or(|current| current.is_full) {
            self.begin_segment()?;
        }
        let Some(current) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        seal(frame, current.header.nonce, current.end);
        current.file.file.write_all_at(frame, current.end as u64)?;
        current.file.file.sync_data()?;
        current.end += frame.len();
        current.last_seq = last_seq;
        Ok(())
    }

    /// Whether the next segment will have to be made.
    pub(super) fn lacks_spare(&self) -> bool {
        let is_half_full = self.current.as_ref().is_some_and(|current| current.end > SEGMENT_BYTES / 2);
        is_half_full && self.spare.is_empty()
    }

    /// Makes a file for the next segment.
    pub(super) fn make_spare(&mut self) -> io::Result<()> {
        let path = self.dir.join(format!("{PREFIX}{}{SUFFIX}", self.next_slot));
        let file = SegmentFile { file: create_private(&path)?, path };
        // Page by page: of what is written as one, the system keeps larger pieces, and writes each as a whole whenever
        // something in it has changed.
        let mut places = (0..SEGMENT_BYTES as u64).step_by(PAGE);
        let made = places.try_for_each(|place| file.file.write_all_at(&[0; PAGE], place));
        let made = made.and_then(|()| file.file.sync_all());
        let made = made.and_then(|()| File::open(&self.dir)?.sync_all());
        if let Err(error) = made {
            file.remove();
            return Err(error);
        }
        self.next_slot += 1;
        self.spare.push(file);
        pass_io("made")
    }

    /// The header is synced before anything is written behind it, and the segment before is full only then.
    fn begin_segment(&mut self) -> io::Result<()> {
        if self.spare.is_empty() {
            self.make_spare()?;
        }
        let Some(file) = self.spare.pop() else { return Err(io::ErrorKind::NotFound.into()) };
        let previous = self.current.as_ref().map_or((0, 0), |current| (current.header.nonce, current.end as u64));
        let header = SegmentHeader { number: self.next_number, nonce: draw_nonce(), previous };
        let begun = file.file.write_all_at(&header.page(), 0).and_then(|()| file.file.sync_data());
        if let Err(error) = begun.and_then(|()| pass_io("begun")) {
            self.spare.push(file);
            return Err(error);
        }
        self.next_number += 1;
        let next = CurrentSegment { file, header, end: PAGE, is_full: false, last_seq: i64::MIN };
        if let Some(CurrentSegment { file, last_seq, .. }) = self.current.replace(next) {
            self.sealed.push(SealedSegment { file, last_seq });
        }
        Ok(())
    }

    /// Whether a full segment holds nothing any more but what was accepted before `first_needed`.
    pub(super) fn has_done(&self, first_needed: i64) -> bool {
        self.sealed.iter().any(|segment| segment.last_seq < first_needed)
    }

    /// Lets those be used again.
    pub(super) fn recycle(&mut self, first_needed: i64) {
        let done = self.sealed.extract_if(.., |segment| segment.last_seq < first_needed);
        self.spare.extend(done.map(|segment| segment.file));
        self.drop_spare();
    }

    fn drop_spare(&mut self) {
        let kept = self.spare.len().min(SPARE_MAX);
        self.spare.drain(kept..).for_each(|file| file.remove());
    }
}

impl SegmentFile {
    fn remove(&self) {
        // Where it stays, the next start removes it.
        let _ = fs::remove_file(&self.path);
    }
}

fn pass_io(stage: &str) -> io::Result<()> {
    pass("log", stage).map_err(|fault| io::Error::other(fault.0.to_string()))
}

/// A number that nobody foresees.
fn draw_nonce() -> u64 {
    RandomState::new().hash_one(PREFIX)
}
