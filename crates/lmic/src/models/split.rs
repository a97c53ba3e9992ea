//! Models of several GGUF files, as llama.cpp splits them: `NAME-00001-of-00003.gguf` and so on. The first part has the
//! metadata; tensors may lie in any.

use std::path::{Path, PathBuf};

/// What the name of a part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartName {
    /// The name that all parts have in common.
    pub stem: String,
    /// The number of the part, counted from 1.
    pub number: u32,
    /// Parts of the model.
    pub count: u32,
}

impl PartName {
    /// Reads a file's name; `None` if it is not that of a part.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let parse = |digits: &str| {
            let is_number = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok())?
        };
        let (number, count) = (parse(number)?, parse(count)?);
        let fits = !stem.is_empty() && (1..=count).contains(&number) && count <= Self::MAX_COUNT;
        fits.then(|| Self { stem: stem.into(), number, count })
    }

    /// The most parts that a file's name can say.
    pub const MAX_COUNT: u32 = 1 << 16;

    /// The name of the file of another part of a model called `stem`.
    pub fn file(stem: &str, number: u32, count: u32) -> String {
        format!("{stem}-{number:05}-of-{count:05}.gguf")
    }

    /// All parts beside that at `path`, which is one, in order.
    pub fn all_beside(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let file = |number| path.with_file_name(Self::file(&self.stem, number, self.count));
        (1..=self.count).map(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_read_and_written() {
        let path = Path::new("a/b-c-00002-of-00003.gguf");
        let part = PartName::of(path).unwrap();
        assert_eq!(part, PartName { stem: "b-c".into(), number: 2, count: 3 });
        let files: Vec<_> = part.all_beside(path).collect();
        assert_eq!(files.len(), 3);
        assert_eq!(files[1], path);
        for name in [
            "b.gguf",
            "b-2-of-3.gguf",
            "b-00004-of-00003.gguf",
            "b-00000-of-00003.gguf",
            "-00001-of-00003.gguf",
            "b-00001-of-00003",
            "b-00001-of-99999999999.gguf",
            "b-+0001-of-00003.gguf",
        ] {
            assert_eq!(PartName::of(Path::new(name)), None, "{name}");
        }
    }
}
