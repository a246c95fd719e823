//! Files: bytes that are kept beside the documents, each under the digest of what it holds (proofs of payment).

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{StoreError, StoreResult};
use crate::time::Time;

/// The most bytes that a file may have: 10 MiB.
pub const FILE_BYTES_MAX: usize = 10 * 1024 * 1024;

const DIGEST_BYTES: usize = 32;

/// A file's name: the SHA-256 of its bytes. As text it has 64 hexadecimal digits, small ones, and nothing else is read
/// as one: what a stranger writes in its place never becomes a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileDigest([u8; DIGEST_BYTES]);

impl FileDigest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// These bytes, where they are the file's.
    ///
    /// # Errors
    /// `Corrupt` where they are others.
    pub fn verify(self, bytes: Vec<u8>) -> StoreResult<Vec<u8>> {
        if Self::of(&bytes) == self { Ok(bytes) } else { Err(self.damage_error()) }
    }

    /// That the file stands, and its bytes are not what they were.
    pub fn damage_error(self) -> StoreError {
        StoreError::Corrupt(format!("the file {self} is damaged"))
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileDigest({self})")
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file is named by 64 hexadecimal digits, small ones")]
pub struct NoFileDigest;

impl FromStr for FileDigest {
    type Err = NoFileDigest;

    fn from_str(text: &str) -> Result<Self, NoFileDigest> {
        let mut digest = [0; DIGEST_BYTES];
        hex::decode_to_slice(text, &mut digest).map_err(|_| NoFileDigest)?;
        // Capitals would be a second name for the same file.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Err(NoFileDigest) } else { Ok(Self(digest)) }
    }
}

impl Serialize for FileDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why bytes do not become a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileRefused {
    /// They are too many.
    #[error("the file has {bytes} bytes; at most {FILE_BYTES_MAX} are kept")]
    TooLarge { bytes: usize },
}

/// Bytes that may be kept, and their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent {
    bytes: Vec<u8>,
    digest: FileDigest,
}

impl FileContent {
    /// Works out the digest, which for the largest takes some hundredths of a second.
    ///
    /// # Errors
    /// `TooLarge` above [`FILE_BYTES_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, FileRefused> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(FileRefused::TooLarge { bytes: bytes.len() });
        }
        Ok(Self { digest: FileDigest::of(&bytes), bytes })
    }

    /// The name under which they are kept.
    pub const fn digest(&self) -> FileDigest {
        self.digest
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a subscriber sent is nobody's to read in a log.
        f.debug_struct("FileContent").field("bytes", &self.bytes.len()).field("digest", &self.digest).finish()
    }
}

/// Files beside the documents. A file is one, however often and by whomever it is put.
///
/// After `Ok` it stands whole. A put that failed or broke off leaves the whole file, or none; or one that is told as
/// damaged and never read, where the store's answer was lost: the next put of the same bytes replaces it.
#[async_trait]
pub trait FileStore: Send + Sync + fmt::Debug {
    /// Keeps a file, and answers its name. One that stands already stays, and is put in order where it is damaged.
    async fn put_file(&self, content: FileContent) -> StoreResult<FileDigest>;

    /// A file's bytes, held against its name; none where there is no such file. `Corrupt` where it is damaged.
    async fn read_file(&self, digest: FileDigest) -> StoreResult<Option<Vec<u8>>>;

    /// Whether there is such a file; it may be damaged.
    async fn has_file(&self, digest: FileDigest) -> StoreResult<bool>;

    /// The files' names, in their order, behind `after`: up to `limit` (at least one), and none only where there are no
    /// more.
    async fn files(&self, after: Option<FileDigest>, limit: usize) -> StoreResult<Vec<FileDigest>>;

    /// Removes a file, damaged or not. To remove what is not there is no error.
    async fn delete_file(&self, digest: FileDigest) -> StoreResult<()>;

    /// Removes what has been left by operations that broke off, where they began before this; answers how many had left
    /// something. By then they must be over: none takes an hour.
    async fn remove_unfinished_files(&self, begun_before: Time) -> StoreResult<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = FileDigest::of(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{EMPTY}\""));
        assert_eq!(serde_json::from_str::<FileDigest>(&json).unwrap(), digest);
    }

    #[test]
    fn nothing_else_is_a_digest() {
        for odd in [
            String::new(),
            EMPTY[1..].to_owned(),
            format!("{EMPTY}0"),
            format!("{EMPTY}\n"),
            format!(" {}", &EMPTY[1..]),
            EMPTY.to_uppercase(),
            format!("../{}", &EMPTY[3..]),
            format!("{}/x", &EMPTY[2..]),
            format!("{}g", &EMPTY[1..]),
            "é".repeat(32),
        ] {
            assert_eq!(odd.parse::<FileDigest>(), Err(NoFileDigest), "{odd}");
            assert!(serde_json::from_value::<FileDigest>(odd.into()).is_err());
        }
    }

    #[test]
    fn a_file_has_at_most_ten_mebibytes() {
        let largest = FileContent::new(vec![7; FILE_BYTES_MAX]).unwrap();
        assert_eq!(largest.digest(), FileDigest::of(largest.bytes()));
        let refused = FileContent::new(vec![7; FILE_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(refused, FileRefused::TooLarge { bytes: FILE_BYTES_MAX + 1 });
    }

    #[test]
    fn other_bytes_are_not_the_files() {
        let digest = FileDigest::of(b"paid");
        assert_eq!(digest.verify(b"paid".to_vec()), Ok(b"paid".to_vec()));
        assert!(matches!(digest.verify(b"Paid".to_vec()), Err(StoreError::Corrupt(why)) if why.contains("damaged")));
    }

    #[test]
    fn no_log_shows_what_a_file_holds() {
        let shown = format!("{:?}", FileContent::new(b"secret".to_vec()).unwrap());
        assert!(shown.contains("bytes: 6") && !shown.contains("secret"), "{shown}");
    }
}
