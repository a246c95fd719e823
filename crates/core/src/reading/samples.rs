//! Values and documents to try reading with, for tests.

use bson::oid::ObjectId;
use bson::{Bson, Document};

/// One value and more of each type that BSON has.
pub fn every_bson_type() -> Vec<Bson> {
    use bson::spec::BinarySubtype;
    let code = bson::JavaScriptCodeWithScope { code: "1".to_owned(), scope: bson::doc! { "a": 1 } };
    let decimal = |text: &str| text.parse().map_or(Bson::Null, Bson::Decimal128);
    let pointer = bson::RawDocumentBuf::from_bytes(vec![
        31, 0, 0, 0, 0x0c, b'p', 0, 4, 0, 0, 0, b'a', b'.', b'b', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0,
    ]);
    let pointer = pointer.ok().and_then(|raw| Document::try_from(raw).ok()).and_then(|mut raw| raw.remove("p"));
    let mut all = vec![
        Bson::Double(1.5),
        Bson::Double(f64::NAN),
        Bson::Double(f64::INFINITY),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Double(1e20),
        Bson::Double(-1e20),
        Bson::Double(-0.0),
        "text".into(),
        "".into(),
        "active".into(),
        "BUY".into(),
        "$price".into(),
        bson::doc! {}.into(),
        bson::doc! { "$date": "x" }.into(),
        bson::doc! { "a": { "$oid": "zz" } }.into(),
        Bson::Array(Vec::new()),
        Bson::Array(vec![1.into(), Bson::Null]),
        Bson::Array(vec!["BUY".into()]),
        Bson::Binary(bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }),
        Bson::Binary(bson::Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] }),
        Bson::Undefined,
        ObjectId::from_bytes([9; 12]).into(),
        true.into(),
        false.into(),
        bson::DateTime::from_millis(0).into(),
        bson::DateTime::MAX.into(),
        bson::DateTime::MIN.into(),
        Bson::Null,
        Bson::JavaScriptCode("1".to_owned()),
        Bson::Symbol("s".to_owned()),
        Bson::JavaScriptCodeWithScope(code),
        0.into(),
        7.into(),
        (-1).into(),
        i32::MAX.into(),
        Bson::Timestamp(bson::Timestamp { time: 1, increment: 2 }),
        Bson::Int64(7),
        Bson::Int64(i64::MAX),
        Bson::Int64(i64::MIN),
        decimal("7.5"),
        decimal("NaN"),
        decimal("Infinity"),
        decimal("1E+6000"),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    let text = |text: &str| bson::raw::CString::try_from(text).ok();
    let regex = text("a").zip(text("i")).map(|(pattern, options)| bson::Regex { pattern, options });
    all.extend(regex.map(Bson::RegularExpression));
    all.extend(pointer);
    all
}

/// Puts a value at a dotted path, whatever stood there or above it.
pub fn put_at(document: &mut Document, path: &str, value: Bson) {
    let Some((first, rest)) = path.split_once('.') else {
        document.insert(path, value);
        return;
    };
    let mut inner = match document.remove(first) {
        Some(Bson::Document(inner)) => inner,
        _ => Document::new(),
    };
    put_at(&mut inner, rest, value);
    document.insert(first, inner);
}
