//! What archives of this run, or others, cannot be restored without: models and primed states. A run that would remove one
//! or write over it is refused before anything is done.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::file_id::FileId;
use crate::source::has_suffix;

/// Files that must stay, and why.
#[derive(Debug, Default)]
pub struct Needed(HashMap<FileId, &'static str>);

impl Needed {
    /// Adds a file, or all files below a folder. Those that an archive would be called (`.lmic`) are no models.
    pub fn add(&mut self, path: &Path, why: &'static str) {
        if !path.is_dir() {
            if !has_suffix(path) {
                self.0.extend(FileId::at(path).map(|id| (id, why)));
            }
            return;
        }
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            // A checkpoint may be a folder of links to files, but not of links to folders.
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) || path.is_file() {
                self.add(&path, why);
            }
        }
    }

    /// Why a file must stay.
    pub fn why(&self, id: &FileId) -> Option<&'static str> {
        self.0.get(id).copied()
    }
}
