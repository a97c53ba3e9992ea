//! What the networks of the sample models see, for training them (`recipes/train_samples_torch.py`).
//!
//!     cargo run --release -p lmic --example sample_views -- gray:64 2048 pieces.raw pieces.views
//!
//! Goes over each piece of a file alone and writes one record of 336 bytes a sample, little-endian: 160 inputs
//! (i16), centre (i32), unit (u32), sample (i32), place (u32).

use std::io::Write;

use lmic::block::SampleFormat;
use lmic::predict::samples::Samples;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [content, piece, input, output] = &arguments[..] else {
        return Err(
            "usage: sample_views gray:ROW|pcm8:CHANNELS|pcm16:CHANNELS PIECE INPUT OUTPUT".into()
        );
    };
    let (kind, number) = content.split_once(':').ok_or("the content is KIND:NUMBER")?;
    let content = match kind {
        "gray" => SampleFormat::Gray { row: number.parse()? },
        "pcm8" => SampleFormat::Pcm8 { channels: number.parse()? },
        "pcm16" => SampleFormat::Pcm16 { channels: number.parse()? },
        _ => return Err("the content is gray, pcm8 or pcm16".into()),
    };
    let mut writer = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(output)?);
    let mut result = Ok(());
    for data in std::fs::read(input)?.chunks_exact(piece.parse()?) {
        let mut record = [0u8; 336];
        let walked = Samples::views(content, data, |view, sample| {
            for (to, input) in record.chunks_exact_mut(2).zip(view.inputs) {
                to.copy_from_slice(&input.to_le_bytes());
            }
            let numbers = [view.centre, view.unit as i32, sample, view.place as i32];
            for (to, number) in record[320..].chunks_exact_mut(4).zip(numbers) {
                to.copy_from_slice(&number.to_le_bytes());
            }
            if result.is_ok() {
                result = writer.write_all(&record);
            }
        });
        walked.ok_or("no network looks at this content")?;
    }
    result?;
    Ok(writer.flush()?)
}
