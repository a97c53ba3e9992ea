//! Files of bytes, perhaps in xz or zip.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Result;

use crate::item::{Format, Item};

/// All bytes of a file; those inside, if it ends in `.xz`, or of the first file inside, if in `.zip`.
pub fn read(path: &Path) -> Result<Item> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => {
            liblzma::read::XzDecoder::new_multi_decoder(file).read_to_end(&mut bytes)?;
        }
        Some("zip") => {
            zip::ZipArchive::new(file)?.by_index(0)?.read_to_end(&mut bytes)?;
        }
        _ => _ = file.read_to_end(&mut bytes)?,
    }
    Ok(Item { bytes, format: Format::Bytes })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn packed_files_give_what_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, xz, zip] = ["a.txt", "a.xz", "a.zip"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "text").unwrap();
        let mut encoder = liblzma::write::XzEncoder::new(File::create(&xz).unwrap(), 6);
        encoder.write_all(b"text").unwrap();
        encoder.finish().unwrap();
        let mut writer = zip::ZipWriter::new(File::create(&zip).unwrap());
        writer.start_file("a.txt", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(b"text").unwrap();
        writer.finish().unwrap();
        for path in [plain, xz, zip] {
            assert_eq!(read(&path).unwrap().bytes, b"text", "{}", path.display());
        }
    }
}
