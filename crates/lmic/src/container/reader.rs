//! Archive to parts: blocks as they stand in the file, and ends of streams. Zeros between and behind streams are passed.
//! Decodes nothing.

use std::io::BufRead;

use super::block::{PendingBlock, ReadBlock};
use super::header::{BlockHeader, StreamHeader};
use super::source::Source;
use super::trailer::{ContentHash, SeenIndex};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// Reads streams that follow one another, without seeking.
#[derive(Debug)]
pub(super) struct PartReader<R> {
    source: Source<R>,
    stream: Option<OpenStream>,
    /// Stops it.
    progress: Progress,
}

/// The stream that is being read.
#[derive(Debug)]
struct OpenStream {
    header: StreamHeader,
    blocks: u64,
    ended: bool,
    literals: u64,
    index: SeenIndex,
}

impl OpenStream {
    /// Bytes behind the last block.
    fn end_len(&self) -> u64 {
        if self.blocks == 1 { 0 } else { self.index.trailer_len() }
    }
}

/// What comes next in an archive.
#[derive(Debug)]
pub(super) enum Part {
    /// A block, whose payload [`PartReader::payload`] reads next.
    Block(PendingBlock),
    /// The end of a stream; one of several blocks has a hash of its content.
    EndOfStream(Option<ContentHash>),
}

impl<R: BufRead> PartReader<R> {
    pub(super) fn new(reader: R, progress: Progress) -> Self {
        Self { source: Source::new(reader, 0), stream: None, progress }
    }

    /// Where what is read comes from.
    pub(super) fn input(&mut self) -> &mut R {
        &mut self.source.inner
    }

    /// Passes zeros that the caller has seen in front, if zeros may stand here; returns how many it passed.
    pub(super) fn pass_zeros(&mut self, zeros: usize) -> usize {
        let is_behind_stream = self.stream.is_none() && self.source.position > 0;
        let passed = if is_behind_stream { zeros } else { 0 };
        self.source.position += passed as u64;
        passed
    }

    /// Whether [`PartReader::next`] finds all that it reads in `ahead`, the bytes that come next. It does if they are no
    /// valid part, as it then fails in them.
    pub(super) fn is_whole(&self, ahead: &[u8]) -> bool {
        let mut ahead = Source::new(ahead, self.position());
        let result = match &self.stream {
            Some(stream) if stream.ended => return ahead.inner.len() as u64 >= stream.end_len(),
            Some(stream) => {
                let fresh = (stream.blocks == 0).then_some(&stream.header);
                BlockHeader::read_checked(&mut ahead, fresh)
            }
            None => ahead
                .byte("the magic number")
                .and_then(|first| StreamHeader::read(&mut ahead, first))
                .and_then(|header| BlockHeader::read_checked(&mut ahead, Some(&header))),
        };
        !result.is_err_and(|error| error.kind() == ErrorKind::Truncated)
    }

    /// Bytes of the archive read so far.
    pub(super) fn position(&self) -> u64 {
        self.source.position
    }

    /// The next part; `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Part>> {
        match self.stream.take() {
            Some(stream) if stream.ended => self.end_stream(stream).map(Some),
            Some(stream) => self.read_header(stream).map(Some),
            None => match self.open_stream()? {
                Some(stream) => self.read_header(stream).map(Some),
                None => Ok(None),
            },
        }
    }

    fn open_stream(&mut self) -> Result<Option<OpenStream>> {
        let start = self.source.position;
        if start > 0 {
            self.source.skip_zeros(&self.progress)?;
        }
        let Some(first) = self.source.byte_or_end()? else {
            if start == 0 {
                return Err(Error::new(ErrorKind::Truncated, "the archive is empty"));
            }
            return Ok(None);
        };
        let header = StreamHeader::read(&mut self.source, first)?;
        Ok(Some(OpenStream {
            header,
            blocks: 0,
            ended: false,
            literals: 0,
            index: SeenIndex::default(),
        }))
    }

    fn read_header(&mut self, mut stream: OpenStream) -> Result<Part> {
        let position = self.source.position;
        let fresh = (stream.blocks == 0).then_some(&stream.header);
        let header = BlockHeader::read_checked(&mut self.source, fresh)?;
        stream.blocks += 1;
        stream.ended = header.last;
        stream.index.push(&header);
        let model = stream.header.model.clone();
        let before = stream.literals;
        stream.literals = before.saturating_add(header.literal_len());
        self.stream = Some(stream);
        Ok(Part::Block(PendingBlock { header, model, position, before }))
    }

    fn end_stream(&mut self, stream: OpenStream) -> Result<Part> {
        if stream.blocks == 1 {
            return Ok(Part::EndOfStream(None));
        }
        stream.index.read_trailer(&mut self.source).map(|hash| Part::EndOfStream(Some(hash)))
    }

    /// Reads the payload and check of the block that [`PartReader::next`] just returned.
    pub(super) fn payload(&mut self, block: PendingBlock) -> Result<ReadBlock> {
        ReadBlock::read(&mut self.source, block)
    }
}
