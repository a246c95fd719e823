//! Files, in the data folder: `files/ab/abcdef…`, by the first two digits of the digest, each for its owner alone.
//!
//! A file is written under another name, synced, and only then gets its own; so one of that name is whole whenever the
//! process is killed. What is not a file of ours in these folders is passed over, and left.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use alertcast_core::store::{FILE_BYTES_MAX, FileContent, FileDigest, FileStore, StoreError, StoreResult};
use alertcast_core::time::Time;
use async_trait::async_trait;
use tempfile::NamedTempFile;

use crate::engine::failpoints::pass;
use crate::error::SqliteResult;
use crate::store::SqliteStore;

/// The folder of the files within the data folder.
const FILES: &str = "files";
/// The folder within it of what is not whole yet.
const UNFINISHED: &str = "unfinished";
/// So many digits of a file's name are its folder's.
const SHELF_DIGITS: usize = 2;

#[async_trait]
impl FileStore for SqliteStore {
    async fn put_file(&self, content: FileContent) -> StoreResult<FileDigest> {
        self.files.run(move |files| Ok(files.put(&content).map(|()| content.digest())?)).await
    }

    async fn read_file(&self, digest: FileDigest) -> StoreResult<Option<Vec<u8>>> {
        self.files.run(move |files| files.read(digest)).await
    }

    async fn has_file(&self, digest: FileDigest) -> StoreResult<bool> {
        self.files.run(move |files| files.path(digest).try_exists().map_err(file_error)).await
    }

    async fn files(&self, after: Option<FileDigest>, limit: usize) -> StoreResult<Vec<FileDigest>> {
        self.files.run(move |files| files.list(after, limit.max(1)).map_err(file_error)).await
    }

    async fn delete_file(&self, digest: FileDigest) -> StoreResult<()> {
        self.files.run(move |files| files.delete(digest).map_err(file_error)).await
    }

    /// A process that goes on leaves nothing, and what one has left that died is removed when the folder is opened: no
    /// other process has it open then.
    async fn remove_unfinished_files(&self, _begun_before: Time) -> StoreResult<u64> {
        Ok(0)
    }
}

/// The folder with the files. It is made with the first of them.
#[derive(Debug, Clone)]
pub(crate) struct FileFolder {
    root: PathBuf,
}

impl FileFolder {
    /// The files of a data folder that nobody else has open. What a process that died had not finished is removed.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let root = data.join(FILES);
        match fs::remove_dir_all(root.join(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Self { root }),
        }
    }

    /// Works with the folder where it may take its time. Begun, it comes to its end whoever waits for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let folder = self.clone();
        let broke_off = |_| Err(StoreError::Unavailable("the work on a file broke off".to_owned()));
        tokio::task::spawn_blocking(move || work(&folder)).await.unwrap_or_else(broke_off)
    }

    /// Whatever stands under the name is replaced at once by the whole file.
    fn put(&self, content: &FileContent) -> SqliteResult<()> {
        let path = self.path(content.digest());
        let shelf = self.shelf(content.digest());
        let unfinished = self.root.join(UNFINISHED);
        for folder in [&self.root, &unfinished, &shelf] {
            make_folder(folder).map_err(file_error)?;
        }
        // It removes itself where it does not get its name.
        let mut file = NamedTempFile::new_in(&unfinished).map_err(file_error)?;
        file.write_all(content.bytes()).map_err(file_error)?;
        pass("files", "written")?;
        file.as_file().sync_all().map_err(file_error)?;
        pass("files", "synced")?;
        file.persist(path).map_err(|refused| file_error(refused.error))?;
        pass("files", "renamed")?;
        Ok(sync_folder(&shelf).map_err(file_error)?)
    }

    fn read(&self, digest: FileDigest) -> StoreResult<Option<Vec<u8>>> {
        let file = match File::open(self.path(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(file_error)?,
        };
        let mut bytes = Vec::new();
        // No further than a file can go: a damaged one may be of any size.
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(file_error)?;
        digest.verify(bytes).map(Some)
    }

    fn delete(&self, digest: FileDigest) -> io::Result<()> {
        let shelf = self.shelf(digest);
        if !shelf.try_exists()? {
            return Ok(());
        }
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // One that is gone already may have gone in a delete that broke off before its sync.
            _ => sync_folder(&shelf),
        }
    }

    /// The names behind `after` in their order, up to `limit`.
    fn list(&self, after: Option<FileDigest>, limit: usize) -> io::Result<Vec<FileDigest>> {
        let first = after.map(|after| after.to_string()[..SHELF_DIGITS].to_owned()).unwrap_or_default();
        let mut shelves = names_in(&self.root)?;
        shelves.retain(|shelf| shelf.len() == SHELF_DIGITS && *shelf >= first);
        shelves.sort();
        let mut found = Vec::new();
        for shelf in shelves {
            let names = names_in(&self.root.join(&shelf))?;
            let digests = names.iter().filter(|name| name.starts_with(&shelf)).filter_map(|name| name.parse().ok());
            let mut digests: Vec<FileDigest> = digests.filter(|digest| Some(*digest) > after).collect();
            digests.sort();
            found.extend(digests);
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn shelf(&self, digest: FileDigest) -> PathBuf {
        self.root.join(&digest.to_string()[..SHELF_DIGITS])
    }

    fn path(&self, digest: FileDigest) -> PathBuf {
        self.shelf(digest).join(digest.to_string())
    }
}

/// What a folder holds, where it is one and there; names that are no text are not ours.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Makes a folder for its owner alone, where it is missing, and makes sure that it stays.
fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // One that is there may have been made by a put that broke off before its sync.
        _ => folder.parent().map_or(Ok(()), sync_folder),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn file_error(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Unavailable("the disk, or the room given to it, is full".to_owned())
        }
        _ => StoreError::Unavailable(format!("the folder of the files: {error}")),
    }
}
