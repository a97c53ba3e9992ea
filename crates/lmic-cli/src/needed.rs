//! What archives of this run, or others, cannot be restored without: models and primed states. A run that would remove one
//! or write over it is refused before anything is done.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use lmic::nn::FileFormat;

use crate::file_id::FileId;

/// Files that must stay, and why.
#[derive(Debug, Default)]
pub struct Needed(HashMap<FileId, &'static str>);

impl Needed {
    /// Adds a file, or the files in a folder and in real folders below it. Archives are no models.
    pub fn add(&mut self, path: &Path, why: &'static str) {
        if !path.is_dir() {
            if !matches!(FileFormat::at(path), Ok(FileFormat::Archive)) {
                self.0.extend(FileId::at(path).map(|id| (id, why)));
            }
            return;
        }
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_file() || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(&path, why);
            } else if path.is_dir() {
                // A checkpoint by a link: the files in it, but nothing below, as such a link may lead anywhere.
                let files = fs::read_dir(&path).into_iter().flatten().flatten();
                let files = files.map(|file| file.path()).filter(|file| file.is_file());
                files.for_each(|file| self.add(&file, why));
            }
        }
    }

    /// Why a file must stay.
    pub fn why(&self, id: &FileId) -> Option<&'static str> {
        self.0.get(id).copied()
    }
}
