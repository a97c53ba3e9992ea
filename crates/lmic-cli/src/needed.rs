//! What archives of this run, or others, cannot be restored without: models and primed states. A run that would remove one
//! or write over it is refused before anything is done.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lmic::models::Wanted;

use crate::file_id::FileId;
use crate::sink::Sink;

/// Files that must stay, and why.
#[derive(Debug, Default)]
pub struct Needed(HashMap<FileId, &'static str>);

impl Needed {
    /// Adds a file, by its name and, if that is a link, by what it leads to; or all files in a folder and in real folders below.
    pub fn add(&mut self, path: &Path, why: &'static str) {
        if path.is_dir() {
            return entries(path).for_each(|path| match path.is_symlink() {
                true if path.is_dir() => {}
                _ => self.add(&path, why),
            });
        }
        let ids = [FileId::at(path), FileId::of_name(path)];
        self.0.extend(ids.into_iter().flatten().map(|id| (id, why)));
    }

    /// Adds the models in the model folder: files, and folders, which may be links to where a checkpoint is.
    pub fn add_model_folder(&mut self, folder: &Path) {
        let why = "a model in the model folder";
        for path in entries(folder) {
            if path.is_symlink() && path.is_dir() {
                // The files in it, but nothing below, as such a link may lead anywhere.
                entries(&path).filter(|file| file.is_file()).for_each(|file| self.add(&file, why));
            } else if path.is_dir() || Wanted::Either.is_meant_at(&path) {
                self.add(&path, why);
            }
        }
    }

    /// Why a file must stay.
    pub fn why(&self, id: &FileId) -> Option<&'static str> {
        self.0.get(id).copied()
    }

    /// Refuses an open output that is one of these files.
    pub fn check_output(&self, out: &Sink) -> Result<()> {
        let file = out.direct().and_then(|file| file.metadata().ok()).filter(Metadata::is_file);
        let id = file.and_then(|file| FileId::of(&file, Path::new("/dev/stdout")));
        match id.and_then(|id| self.why(&id)) {
            Some(why) => bail!("the output is {why}, which cannot be written over (name another)"),
            None => Ok(()),
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}
