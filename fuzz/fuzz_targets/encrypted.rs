//! Any bytes as an encrypted archive, behind a real header or not: an error or bytes, the same from the front and from places.
#![no_main]

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use libfuzzer_sys::fuzz_target;
use lmic_age::{Identities, Padding, Reader, Recipients, Writer};

/// Of age's own tests.
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

fuzz_target!(|data: &[u8]| {
    let mut identities = Identities::default();
    identities.add("key", SECRET.as_bytes()).unwrap();
    read(data, &identities);
    let _ = Identities::default().add("file", data);
    let _ = Recipients::default().add_file(&String::from_utf8_lossy(data));

    // A real file, of which the first bytes of the data say what is broken.
    let [at, bit, cut, content @ ..] = data else { return };
    let mut recipients = Recipients::default();
    recipients.add(PUBLIC).unwrap();
    let mut writer = Writer::new(Vec::new(), &recipients, Padding::Padme).unwrap();
    writer.write_all(content).unwrap();
    let mut file = writer.finish().unwrap();
    let inside = read(&file, &identities).expect("what was written is read");
    assert_eq!(&inside[..content.len()], content);
    assert!(inside[content.len()..].iter().all(|&byte| byte == 0));
    let at = file.len() * usize::from(*at) / 256;
    file[at] ^= 1 << (bit % 8);
    assert!(read(&file, &identities).is_none());
    file[at] ^= 1 << (bit % 8);
    file.truncate(file.len() * usize::from(*cut) / 256);
    assert!(read(&file, &identities).is_none());
});

/// What is inside, if all of it is whole and encrypted.
fn read(file: &[u8], identities: &Identities) -> Option<Vec<u8>> {
    let mut front = Reader::new(file, identities).ok()?;
    if !front.is_encrypted() {
        return None;
    }
    let mut inside = Vec::new();
    let whole = front.read_to_end(&mut inside).is_ok();
    let mut anywhere = Reader::new(Cursor::new(file), identities).ok()?;
    if let Ok(len) = anywhere.seek(SeekFrom::End(0)) {
        for place in [0, len / 2, len.saturating_sub(1), len, len + 1] {
            let mut piece = [0; 100];
            if anywhere.seek(SeekFrom::Start(place)).is_err() {
                break;
            }
            let Ok(read) = anywhere.read(&mut piece) else { break };
            if let Some(same) = inside.get(place as usize..) {
                let same = &same[..read.min(same.len())];
                assert!(piece.starts_with(same));
            }
        }
    }
    whole.then_some(inside)
}
