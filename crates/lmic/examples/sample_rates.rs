//! Codes pieces of a file, each alone, with a profile, and prints coded / raw: for choosing constants.
use lmic::block::SampleFormat;
use lmic::predict::samples::Samples;
use lmic::walk::encode_model;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [profile, content, piece, input, limit] = &arguments[..] else {
        return Err("usage: sample_rates PROFILE KIND:NUMBER PIECE INPUT LIMIT".into());
    };
    let (kind, number) = content.split_once(':').ok_or("the content is KIND:NUMBER")?;
    let content = match kind {
        "gray" => SampleFormat::Gray { row: number.parse()? },
        "rgb" => SampleFormat::Rgb { row: number.parse()? },
        "pcm8" => SampleFormat::Pcm8 { channels: number.parse()? },
        "pcm16" => SampleFormat::Pcm16 { channels: number.parse()? },
        _ => return Err("the content is gray, rgb, pcm8 or pcm16".into()),
    };
    let profile = profile.parse()?;
    let piece = piece.parse()?;
    let (mut raw, mut coded) = (0, 0);
    let start = std::time::Instant::now();
    for data in std::fs::read(input)?.chunks_exact(piece).take(limit.parse()?) {
        let mut model = Samples::new(profile, content, data.len());
        coded += encode_model(&mut model, &mut data.to_vec()).len();
        raw += data.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{} {:.5}  {:.0} KB/s", input, coded as f64 / raw as f64, raw as f64 / 1e3 / seconds);
    Ok(())
}
