//! Pictures and documents, in memory: what bots send and users upload, for `getFile` and its download.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sync::lock;

/// Beyond this, the oldest are forgotten.
const BYTES_MAX: usize = 256 << 20;

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// As a picture.
    #[default]
    Photo,
    /// As a file with a name.
    Document,
}

/// The file of a message. Its bytes are in memory only, not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// How it is shown.
    pub kind: FileKind,
    /// For `getFile`, and to send it again.
    pub file_id: String,
    /// As the sender called it.
    pub name: String,
    /// Its content type.
    pub mime: String,
    /// Its size in bytes.
    pub size: usize,
    /// Of a PNG, its width and height; else of a made-up picture.
    pub dimensions: (u32, u32),
}

impl FileInfo {
    /// As part of a `Message`: the field's name and its value.
    pub(crate) fn field(&self) -> (&'static str, Value) {
        let mut file = self.file_json();
        match self.kind {
            FileKind::Photo => {
                (file["width"], file["height"]) = (json!(self.dimensions.0), json!(self.dimensions.1));
                ("photo", json!([file]))
            }
            FileKind::Document => {
                (file["file_name"], file["mime_type"]) = (json!(self.name), json!(self.mime));
                ("document", file)
            }
        }
    }

    /// The answer to `getFile`.
    pub(crate) fn file_with_path(&self) -> Value {
        let mut file = self.file_json();
        file["file_path"] = json!(self.path());
        file
    }

    fn file_json(&self) -> Value {
        json!({ "file_id": self.file_id, "file_unique_id": format!("u{}", self.file_id), "file_size": self.size })
    }

    /// Under which it is downloaded.
    fn path(&self) -> String {
        let folder = if self.kind == FileKind::Photo { "photos" } else { "documents" };
        let extension = self.name.rsplit_once('.').map_or("bin", |(_, extension)| extension);
        format!("{folder}/{}.{extension}", self.file_id)
    }
}

/// A file as it is uploaded.
#[derive(Debug, Clone)]
pub(crate) struct FileUpload {
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
struct StoredFile {
    info: FileInfo,
    bytes: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct FileShelf {
    by_id: HashMap<String, StoredFile>,
    order: VecDeque<String>,
    bytes: usize,
    last: u64,
}

/// All files.
#[derive(Debug, Default)]
pub(crate) struct UploadStore(Mutex<FileShelf>);

impl UploadStore {
    pub(crate) fn store(&self, kind: FileKind, upload: FileUpload) -> FileInfo {
        let mut shelf = lock(&self.0);
        shelf.last += 1;
        let info = FileInfo {
            kind,
            file_id: format!("simfile{:08}", shelf.last),
            name: upload.name,
            mime: upload.mime,
            size: upload.bytes.len(),
            dimensions: png_dimensions(&upload.bytes).unwrap_or((512, 512)),
        };
        shelf.bytes += info.size;
        shelf.order.push_back(info.file_id.clone());
        shelf.by_id.insert(info.file_id.clone(), StoredFile { info: info.clone(), bytes: upload.bytes.into() });
        while shelf.bytes > BYTES_MAX && shelf.order.len() > 1 {
            let Some(oldest) = shelf.order.pop_front() else { break };
            let freed = shelf.by_id.remove(&oldest).map_or(0, |stored| stored.info.size);
            shelf.bytes -= freed;
        }
        info
    }

    pub(crate) fn info(&self, file_id: &str) -> Option<FileInfo> {
        lock(&self.0).by_id.get(file_id).map(|stored| stored.info.clone())
    }

    pub(crate) fn bytes(&self, file_id: &str) -> Option<Arc<[u8]>> {
        lock(&self.0).by_id.get(file_id).map(|stored| Arc::clone(&stored.bytes))
    }

    /// By the path that `getFile` gave: content type and bytes.
    pub(crate) fn download(&self, path: &str) -> Option<(String, Arc<[u8]>)> {
        let file_id = path.split_once('/')?.1.split_once('.')?.0;
        let shelf = lock(&self.0);
        let stored = shelf.by_id.get(file_id).filter(|stored| stored.info.path() == path)?;
        Some((stored.info.mime.clone(), Arc::clone(&stored.bytes)))
    }
}

/// A PNG's header names them at a fixed place.
fn png_dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(8)?, number(12)?))
}
