//! Photographs, to grey by the mean of red, green and blue, and their patches.

use std::path::Path;

use anyhow::Result;

use crate::item::{Format, Item, ROW};

/// The grey samples of an image.
pub fn read(path: &Path) -> Result<Item> {
    let image = rgb(path)?;
    let gray = |rgb: &image::Rgb<u8>| (rgb.0.iter().map(|&v| u16::from(v)).sum::<u16>() / 3) as u8;
    Ok(Item {
        bytes: image.pixels().map(gray).collect(),
        format: Format::Gray { row: image.width() },
    })
}

/// The samples of an image in colour.
pub fn read_colour(path: &Path) -> Result<Item> {
    let image = rgb(path)?;
    Ok(Item { format: Format::Rgb { row: image.width() }, bytes: image.into_raw() })
}

fn rgb(path: &Path) -> Result<image::RgbImage> {
    Ok(image::ImageReader::open(path)?.with_guessed_format()?.decode()?.into_rgb8())
}

/// Patches of `rows` rows of [`ROW`] samples in an image, without those that the edges cut.
pub fn patches(samples: &[u8], width: u32, rows: usize) -> usize {
    let height = samples.len() / width.max(1) as usize;
    (width / ROW) as usize * (height / rows.max(1))
}

/// Patch `index`, row by row.
pub fn patch(samples: &[u8], width: u32, rows: usize, index: usize) -> Item {
    let across = (width / ROW) as usize;
    patch_at(samples, width, rows, [index / across * rows, index % across * ROW as usize])
}

/// A patch from anywhere, drawn by `seed`.
pub fn drawn_patch(samples: &[u8], width: u32, rows: usize, seed: &[u8]) -> Item {
    let down = samples.len() / width as usize - rows;
    let drawn = blake3::hash(seed);
    let draw = |at: usize, below: usize| {
        let word =
            drawn.as_bytes()[at..at + 4].iter().fold(0, |word, &b| word << 8 | usize::from(b));
        word % (below + 1)
    };
    patch_at(samples, width, rows, [draw(0, down), draw(4, (width - ROW) as usize)])
}

fn patch_at(samples: &[u8], width: u32, rows: usize, [top, left]: [usize; 2]) -> Item {
    let width = width as usize;
    let row = |y: usize| &samples[(top + y) * width + left..][..ROW as usize];
    Item { bytes: (0..rows).flat_map(row).copied().collect(), format: Format::Gray { row: ROW } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_tile_an_image_without_its_edges() {
        let (width, height) = (130u32, 70usize); // 2 patches across, 2 down, an edge of 2 and of 6
        let samples: Vec<u8> = (0..width as usize * height)
            .map(|i| (i % width as usize + i / width as usize) as u8)
            .collect();
        assert_eq!(patches(&samples, width, 32), 4);
        let last = patch(&samples, width, 32, 3);
        assert_eq!(last.bytes.len(), 2048);
        assert_eq!(last.bytes[0], 64 + 32);
        assert_eq!(last.bytes[2047], (127 + 63) as u8);
        // From anywhere: inside, and not always the same.
        let drawn: Vec<Item> =
            (0..20u8).map(|seed| drawn_patch(&samples, width, 32, &[seed])).collect();
        let places: std::collections::HashSet<u8> =
            drawn.iter().map(|item| item.bytes[0]).collect();
        assert!(places.len() > 10 && drawn.iter().all(|item| item.bytes.len() == 2048));
    }

    #[test]
    fn grey_is_the_mean_of_the_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        image::RgbImage::from_pixel(3, 2, image::Rgb([10, 20, 33])).save(&path).unwrap();
        let item = read(&path).unwrap();
        assert_eq!(item, Item { bytes: vec![21; 6], format: Format::Gray { row: 3 } });
        let item = read_colour(&path).unwrap();
        assert_eq!(item, Item { bytes: [10, 20, 33].repeat(6), format: Format::Rgb { row: 3 } });
    }
}
