//! Tables: each row an item.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::item::{Format, Item};

fn item(bytes: Vec<u8>) -> Item {
    Item { bytes, format: Format::Bytes }
}

/// Each line; of one that is a JSON object with a string `t`, that.
pub fn lines(text: &[u8]) -> Vec<Item> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let content = |line: &[u8]| {
        let parsed: Option<serde_json::Value> = serde_json::from_slice(line).ok();
        let inside = parsed.as_ref().and_then(|value| value.get("t")?.as_str());
        inside.map_or_else(|| line.to_vec(), |inside| inside.as_bytes().to_vec())
    };
    lines.map(|line| item(content(line))).filter(|item| !item.bytes.is_empty()).collect()
}

/// The values of a column of strings or bytes.
pub fn column(path: &Path, name: &str) -> Result<Vec<Item>> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let schema = reader.metadata().file_metadata().schema().clone();
    let field = schema.get_fields().iter().find(|field| field.name() == name);
    let field = field.with_context(|| format!("no column {name}"))?.clone();
    let projection = Type::group_type_builder(schema.name()).with_fields(vec![field]).build()?;
    let mut items = Vec::new();
    for row in reader.get_row_iter(Some(projection))? {
        for (_, value) in row?.get_column_iter() {
            match value {
                Field::Str(text) => items.push(item(text.clone().into_bytes())),
                Field::Bytes(bytes) => items.push(item(bytes.data().to_vec())),
                Field::Null => {}
                other => anyhow::bail!("column {name} holds {other}, neither strings nor bytes"),
            }
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    #[test]
    fn lines_give_their_string_t_or_themselves() {
        let text = "{\"t\": \"one\\n\"}\n\nplain\n{\"u\": 1}\n";
        let found: Vec<_> = lines(text.as_bytes()).into_iter().map(|item| item.bytes).collect();
        assert_eq!(found, [&b"one\n"[..], b"plain", b"{\"u\": 1}"]);
    }

    #[test]
    fn a_column_of_strings_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let schema = "message rows { REQUIRED BYTE_ARRAY text (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer =
            SerializedFileWriter::new(File::create(&path).unwrap(), schema, Default::default())
                .unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut values = group.next_column().unwrap().unwrap();
        let rows = [ByteArray::from("one"), ByteArray::from("two")];
        values.typed::<ByteArrayType>().write_batch(&rows, None, None).unwrap();
        values.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let found: Vec<_> = column(&path, "text").unwrap().into_iter().map(|i| i.bytes).collect();
        assert_eq!(found, [b"one", b"two"]);
        assert!(column(&path, "other").is_err());
    }
}
