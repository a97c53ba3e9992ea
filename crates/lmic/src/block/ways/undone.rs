//! A block whose deflate streams are undone: its parts are coded like blocks of their own, one after the other, and the streams are
//! made again of them.

use super::super::deflate::{self, redo};
use super::super::kind::Kind;
use super::super::models::Models;
use super::super::stream::StreamModel;
use super::{Way, needs_newer};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::samples::SampleFormat;
use crate::progress::Progress;
use crate::varint;

/// The longest row of an image.
const MOST_ROW: usize = 1 << 24; // frozen

#[derive(Debug, Clone)]
pub(crate) struct Undone {
    model: StreamModel,
    models: Models,
    /// Bytes of all parts.
    len: u32,
    /// How bytes are coded.
    bytes: Box<Way>,
}

/// A part as a payload has it.
struct Part<'a> {
    kind: Kind,
    len: usize,
    code: &'a [u8],
}

impl Undone {
    pub(in super::super) fn new(len: u32, model: &StreamModel, models: &Models) -> Result<Self> {
        let bytes = Way::new(model, Kind::Bytes, models)?.map(Box::new);
        let bytes = bytes.expect("bytes are not stored");
        Ok(Self { model: model.clone(), models: models.clone(), len, bytes })
    }

    /// Bytes of memory that any part takes at most.
    fn part_memory(&self) -> u64 {
        let len = self.len as usize;
        let row = len.clamp(4, MOST_ROW) as u32;
        let images = [SampleFormat::Rgb { row }, SampleFormat::Colours { row, bits: 32 }];
        let images = images.into_iter().filter_map(|format| {
            let way = Way::new(&self.model, Kind::Samples(format), &self.models);
            Some(way.ok()??.memory(len))
        });
        images.chain([self.bytes.memory(len), Way::unmixed().memory(len)]).fold(0, u64::max)
    }

    pub(super) fn memory(&self, len: usize) -> u64 {
        let parts = u64::from(self.len);
        // An image that is decoded stands beside all parts.
        2 * parts + self.part_memory() + deflate::memory(parts, len as u64)
    }

    pub(super) fn most_threads(&self, known: bool) -> usize {
        self.bytes.most_threads(self.len as usize, known)
    }

    /// The payload, of a recipe and codes of parts.
    pub(in super::super) fn payload(recipe: &[u8], parts: &[(Kind, usize, Vec<u8>)]) -> Vec<u8> {
        let mut payload = Vec::new();
        varint::write(&mut payload, recipe.len() as u64);
        payload.extend_from_slice(recipe);
        for (kind, len, code) in parts {
            kind.write(0, &mut payload);
            varint::write(&mut payload, *len as u64);
            if *kind != Kind::Stored {
                varint::write(&mut payload, code.len() as u64);
            }
            payload.extend_from_slice(code);
        }
        payload
    }

    /// Fills `data` from a payload.
    pub(super) fn decode(
        &self,
        payload: &[u8],
        data: &mut [u8],
        threads: usize,
        progress: &Progress,
    ) -> Result<()> {
        let mut rest = payload;
        let recipe_len = number(&mut rest)?;
        let recipe = take(&mut rest, recipe_len)?;
        let mut parts = Vec::new();
        let mut left = self.len as usize;
        while left > 0 || parts.is_empty() {
            let part = Part::read(&mut rest)?;
            left = left.checked_sub(part.len).ok_or_else(wrong)?;
            // Only bytes may be none.
            if part.len == 0 && !parts.is_empty() {
                return Err(wrong());
            }
            parts.push(part);
        }
        if !rest.is_empty() {
            return Err(wrong());
        }
        let decode = |part: Part<'_>| self.decode_part(&part, threads, &progress.unseen());
        let mut parts = parts.into_iter().map(decode).collect::<Result<Vec<_>>>()?.into_iter();
        let bytes = parts.next().expect("a part");
        progress.check()?;
        data.copy_from_slice(&redo(recipe, &bytes, parts.collect(), data.len(), progress)?);
        progress.add(data.len() as u64);
        Ok(())
    }

    fn decode_part(&self, part: &Part<'_>, threads: usize, progress: &Progress) -> Result<Vec<u8>> {
        let Some(way) = Way::new(&self.model, part.kind, &self.models)? else {
            return Ok(part.code.to_vec());
        };
        if way.memory(part.len) > self.part_memory() {
            return Err(wrong());
        }
        let mut bytes = vec![0; part.len];
        way.decode(
            part.code,
            &mut bytes,
            threads.min(way.most_threads(part.len, false)),
            progress,
        )?;
        Ok(bytes)
    }

    /// Whether a decoder takes a part for one that can be so.
    pub(in super::super) fn may_have(&self, kind: Kind, len: usize) -> bool {
        let way = Way::new(&self.model, kind, &self.models);
        way.is_ok_and(|way| way.is_none_or(|way| way.memory(len) <= self.part_memory()))
    }
}

impl<'a> Part<'a> {
    fn read(rest: &mut &'a [u8]) -> Result<Self> {
        let tag = usize::from(take(rest, 1)?[0]);
        let kind = Kind::read(tag as u8, || number(rest).map(|number| number as u64))?;
        if let Kind::Undone { .. }
        | Kind::Records { .. }
        | Kind::Guided { .. }
        | Kind::Unknown { .. } = kind
        {
            return needs_newer(format_args!("undone streams with a part of tag {tag}"));
        }
        let len = number(rest)?;
        let code_len = if kind == Kind::Stored { len } else { number(rest)? };
        Ok(Self { kind, len, code: take(rest, code_len)? })
    }
}

fn number(rest: &mut &[u8]) -> Result<usize> {
    let number = varint::read(|| Ok::<_, Error>(take(rest, 1)?[0]))?;
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(wrong)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (now, later) = rest.split_at_checked(len).ok_or_else(wrong)?;
    *rest = later;
    Ok(now)
}

fn wrong() -> Error {
    Error::new(ErrorKind::Corrupt, "the parts of undone streams do not fit together")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::samples::{Class, Number};

    #[test]
    fn images_of_all_formats_fit_into_what_parts_may_take() {
        let number = Number { width: 2, class: Class::Unsigned, big_endian: true };
        for level in 1..=5 {
            let (model, models) = (StreamModel::Profile(level), Models::default());
            for len in [40_000, 3_000_000, 40_000_000] {
                let way = Undone::new(len, &model, &models).unwrap();
                for row in [40, 4000, len.min(SampleFormat::MAX_ROW)] {
                    let colours = [1, 2, 4, 8, 24, 32];
                    let colours = colours.map(|bits| SampleFormat::Colours { row, bits });
                    let deep =
                        [1, 3].map(|step| SampleFormat::Deep { row, step, number, shift: 0 });
                    let shades = [SampleFormat::Gray { row }, SampleFormat::Rgb { row }];
                    for format in colours.into_iter().chain(deep).chain(shades) {
                        let fits = way.may_have(Kind::Samples(format), len as usize);
                        assert!(fits, "{level} {len} {format:?}");
                    }
                }
            }
        }
    }
}
