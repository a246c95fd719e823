//! Answers that make no sense.

use bson::{Bson, Document, Timestamp, doc};
use mongodb_rig::{AnswerFate, ServerAnswer};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};

/// One kind of nonsense.
pub(super) struct Lie {
    pub(super) name: &'static str,
    /// Of the answers that it fits, so many are this.
    pub(super) share: f64,
    /// Whoever is told it waits long for nothing.
    pub(super) takes_long: bool,
    /// The server says it of itself, which it is not asked often.
    pub(super) is_of_itself: bool,
    /// None where it does not fit the answer.
    pub(super) tell: fn(&ServerAnswer, &mut StdRng) -> Option<AnswerFate>,
}

const fn lie(name: &'static str, share: f64, tell: fn(&ServerAnswer, &mut StdRng) -> Option<AnswerFate>) -> Lie {
    Lie { name, share, takes_long: false, is_of_itself: false, tell }
}

const fn long(name: &'static str, share: f64, tell: fn(&ServerAnswer, &mut StdRng) -> Option<AnswerFate>) -> Lie {
    Lie { takes_long: true, ..lie(name, share, tell) }
}

const fn itself(name: &'static str, tell: fn(&ServerAnswer, &mut StdRng) -> Option<AnswerFate>) -> Lie {
    Lie { is_of_itself: true, ..lie(name, 0.7, tell) }
}

pub(super) const LIES: &[Lie] = &[
    lie("random bytes", 0.4, random_bytes),
    lie("cut off", 0.4, |answer, random| Some(AnswerFate::End(cut(answer, random)))),
    lie("another length", 0.4, |answer, random| Some(AnswerFate::End(of_length(answer, random)))),
    lie("another kind", 0.4, |answer, random| Some(AnswerFate::Replace(with_number(answer, 12, random)))),
    lie("another id", 0.4, |answer, random| Some(AnswerFate::Replace(with_number(answer, 8, random)))),
    lie("other flags", 0.4, |answer, random| Some(AnswerFate::Replace(with_number(answer, 16, random)))),
    lie("an impossible document", 0.4, impossible_document),
    lie("an impossible document within", 0.4, impossible_within),
    lie("nothing at all", 0.4, |answer, _| said(answer, &Document::new())),
    lie("only that it went well", 0.4, |answer, _| ends_nothing(answer).then(|| said(answer, &doc! { "ok": 1 }))?),
    lie("neither well nor ill", 0.4, |answer, random| with(answer, "ok", odd(random))),
    lie("an odd cursor", 0.3, odd_cursor),
    lie("an odd count", 0.3, |answer, random| over(answer, &["n", "nModified", "nMatched"], random, odd)),
    lie("an odd document", 0.3, odd_value),
    lie("an odd error", 0.4, odd_error),
    lie("odd errors beside", 0.4, |answer, random| {
        let field = ["writeErrors", "writeConcernError", "errorLabels", "code"][random.random_range(0..4)];
        with(answer, field, odd_mistake(random))
    }),
    lie("a cluster time of nobody", 0.4, odd_cluster_time),
    itself("an odd member", |answer, random| {
        let field = HELLO[random.random_range(0..HELLO.len())];
        of_hello(answer)?.contains_key(field).then(|| with(answer, field, odd(random)))?
    }),
    itself("extreme limits", |answer, random| {
        let limits = ["maxBsonObjectSize", "maxMessageSizeBytes", "maxWriteBatchSize", "logicalSessionTimeoutMinutes"];
        of_hello(answer)?;
        with(answer, limits[random.random_range(0..limits.len())], extreme(random))
    }),
    itself("another version of the set", another_version),
    itself("another set", another_set),
    long("cut off, and silence", 0.05, |answer, random| Some(AnswerFate::Hang(cut(answer, random)))),
    long("another length, and silence", 0.05, |answer, random| Some(AnswerFate::Hang(of_length(answer, random)))),
];

/// What a server says of itself.
const HELLO: [&str; 17] = [
    "isWritablePrimary",
    "secondary",
    "setName",
    "setVersion",
    "electionId",
    "hosts",
    "me",
    "primary",
    "minWireVersion",
    "maxWireVersion",
    "topologyVersion",
    "lastWrite",
    "maxBsonObjectSize",
    "maxMessageSizeBytes",
    "maxWriteBatchSize",
    "logicalSessionTimeoutMinutes",
    "connectionId",
];

fn said(answer: &ServerAnswer, body: &Document) -> Option<AnswerFate> {
    Some(AnswerFate::Replace(answer.bytes_with(&body.to_vec().ok()?)))
}

fn with(answer: &ServerAnswer, field: &str, value: impl Into<Bson>) -> Option<AnswerFate> {
    let mut body = answer.body.clone();
    body.insert(field, value.into());
    said(answer, &body)
}

/// In the place of one of these fields, where the answer has it.
fn over(
    answer: &ServerAnswer,
    fields: &[&str],
    random: &mut StdRng,
    value: fn(&mut StdRng) -> Bson,
) -> Option<AnswerFate> {
    let there: Vec<&&str> = fields.iter().filter(|field| answer.body.contains_key(field)).collect();
    let field = there.get(random.random_range(0..there.len().max(1)))?;
    with(answer, field, value(random))
}

/// Whether it is not all that there is to say.
fn ends_nothing(answer: &ServerAnswer) -> bool {
    !["commitTransaction", "abortTransaction"].contains(&answer.command.as_str())
}

fn of_hello(answer: &ServerAnswer) -> Option<&Document> {
    answer.body.contains_key("setName").then_some(&answer.body)
}

/// No number that could be one of something, no text, nothing that could be true.
fn odd(random: &mut StdRng) -> Bson {
    let all = [
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Double(-1e300),
        Bson::Int32(-1),
        Bson::Int32(i32::MIN),
        Bson::Int64(i64::MIN),
        Bson::String("\u{0}".repeat(3)),
        Bson::MinKey,
        Bson::Undefined,
        Bson::Timestamp(Timestamp { time: u32::MAX, increment: u32::MAX }),
        Bson::DateTime(bson::DateTime::MIN),
        Bson::Array(vec![Bson::Null, Bson::Int32(1)]),
        Bson::Document(doc! { "": { "": [{}] } }),
        (0..150).fold(Bson::Null, |inner, _| Bson::Array(vec![inner])),
    ];
    all[random.random_range(0..all.len())].clone()
}

fn extreme(random: &mut StdRng) -> Bson {
    let all = [i64::MIN, i64::from(i32::MIN), -1, 0, 1, i64::from(i32::MAX), i64::MAX / 60, i64::MAX / 59, i64::MAX];
    let number = all[random.random_range(0..all.len())];
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

fn random_bytes(_: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let mut bytes = vec![0; random.random_range(0..400)];
    random.fill_bytes(&mut bytes);
    Some(AnswerFate::End(bytes))
}

fn cut(answer: &ServerAnswer, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = answer.bytes();
    bytes.truncate(random.random_range(0..bytes.len()));
    bytes
}

fn of_length(answer: &ServerAnswer, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = answer.bytes();
    let real = i32::try_from(bytes.len()).unwrap();
    let all = [i32::MIN, -1, 0, 1, 15, 16, 17, 20, 21, real - 1, real + 1, 48_000_000, 50_000_000, i32::MAX];
    bytes[..4].copy_from_slice(&all[random.random_range(0..all.len())].to_le_bytes());
    bytes
}

/// With another number in this place of its head.
fn with_number(answer: &ServerAnswer, at: usize, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = answer.bytes();
    let all = [i32::MIN, -1, 0, 1, 2, 3, 2004, 2010, 2012, 2013, 0x1_0000, i32::MAX, random.random()];
    bytes[at..at + 4].copy_from_slice(&all[random.random_range(0..all.len())].to_le_bytes());
    bytes
}

/// The length of the answer's document is not its own.
fn impossible_document(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let mut body = answer.body.to_vec().ok()?;
    let real = i32::try_from(body.len()).ok()?;
    let all = [i32::MIN, -1, 0, 4, 5, real - 1, real + 1, real * 2, i32::MAX];
    body[..4].copy_from_slice(&all[random.random_range(0..all.len())].to_le_bytes());
    Some(AnswerFate::Replace(answer.bytes_with(&body)))
}

/// The length of the cursor, or of what is not there, is none.
fn impossible_within(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let all = [i32::MIN, -1, 0, 4, 1_000_000, i32::MAX];
    let length = all[random.random_range(0..all.len())].to_le_bytes();
    let kind = [2_u8, 3, 4, 5, 13][random.random_range(0..5)];
    let name = ["cursor\0", "ok\0", "value\0", "n\0"][random.random_range(0..4)];
    let within = [&[kind], name.as_bytes(), &length, b"\x10x\0\x01\0\0\0\0\0"].concat();
    let whole = i32::try_from(within.len() + 4).ok()?.to_le_bytes();
    Some(AnswerFate::Replace(answer.bytes_with(&[&whole[..], &within].concat())))
}

fn odd_cursor(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let mut body = answer.body.clone();
    let cursor = body.get_document_mut("cursor").ok()?;
    let batch = if cursor.contains_key("firstBatch") { "firstBatch" } else { "nextBatch" };
    match random.random_range(0..6_u32) {
        0 => drop(cursor.remove("id")),
        1 => drop(cursor.insert("id", odd(random))),
        2 => drop(cursor.remove(batch)),
        3 => drop(cursor.insert(batch, vec![Bson::Null, Bson::Int64(i64::MAX), Bson::MaxKey])),
        4 => drop(cursor.insert("ns", odd(random))),
        _ => drop(body.insert("cursor", odd(random))),
    }
    said(answer, &body)
}

/// What a document is changed to, as it is not.
fn odd_value(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let value = answer.body.get_document("value").ok()?;
    if random.random_bool(0.5) {
        return with(answer, "value", odd(random));
    }
    let mut value = value.clone();
    let fields: Vec<String> = value.keys().filter(|field| *field != "_id").cloned().collect();
    for field in fields {
        value.insert(field, odd(random));
    }
    with(answer, "value", value)
}

/// No code that says something about what was asked.
fn odd_error(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let code = [odd(random), Bson::Int32(random.random_range(1_000_000..i32::MAX)), Bson::Int64(i64::MAX), 189.into()];
    let message = [odd(random), "x".repeat(1 << 20).into(), "\u{1b}[2J\r\n".into(), "not primary".into()];
    let body = doc! {
        "ok": 0,
        "code": code[random.random_range(0..code.len())].clone(),
        "errmsg": message[random.random_range(0..message.len())].clone(),
        "codeName": odd(random),
        "topologyVersion": odd(random),
    };
    said(answer, &body)
}

fn odd_mistake(random: &mut StdRng) -> Bson {
    let all = [
        odd(random),
        Bson::Array(vec![doc! { "index": -1, "code": i64::MAX, "errmsg": 5 }.into()]),
        Bson::Array(vec![doc! { "index": i64::MAX, "code": -1, "errmsg": "no", "errInfo": 3 }.into()]),
        doc! { "code": -1, "errmsg": "no", "errInfo": [] }.into(),
    ];
    all[random.random_range(0..all.len())].clone()
}

fn odd_cluster_time(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let end = Bson::Timestamp(Timestamp { time: u32::MAX, increment: u32::MAX });
    let all = [
        odd(random),
        doc! { "clusterTime": end.clone(), "signature": answer.body.get_document("$clusterTime").ok()?.get("signature")? }.into(),
        doc! { "clusterTime": end.clone() }.into(),
        doc! { "clusterTime": odd(random), "signature": odd(random) }.into(),
    ];
    let mut body = answer.body.clone();
    body.insert("$clusterTime", all[random.random_range(0..all.len())].clone());
    body.insert("operationTime", [end, odd(random)][random.random_range(0..2)].clone());
    said(answer, &body)
}

fn another_version(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let mut body = of_hello(answer)?.clone();
    match random.random_range(0..4_u32) {
        0 => {
            body.insert("setVersion", i32::MAX);
            body.insert("electionId", bson::oid::ObjectId::from_bytes([0xff; 12]));
        }
        1 => {
            let process = body.get_document("topologyVersion").ok()?.get("processId")?.clone();
            body.insert("topologyVersion", doc! { "processId": process, "counter": i64::MAX });
        }
        2 => drop(body.insert("minWireVersion", i32::MAX)),
        _ => drop(body.insert("maxWireVersion", i32::MIN)),
    }
    said(answer, &body)
}

fn another_set(answer: &ServerAnswer, random: &mut StdRng) -> Option<AnswerFate> {
    let mut body = of_hello(answer)?.clone();
    let elsewhere = |n: u32| -> Vec<String> { (0..n).map(|n| format!("127.0.0.1:{}", n % 9 + 1)).collect() };
    match random.random_range(0..7_u32) {
        0 => drop(body.insert("setName", "another")),
        1 => drop(body.remove("setName")),
        2 => drop(body.insert("msg", "isdbgrid")),
        3 => drop(body.insert("hosts", Vec::<Bson>::new())),
        4 => drop(body.insert("hosts", elsewhere(1_000))),
        5 => drop(body.insert("hosts", vec!["", ":", "a:b:c", "[::1", "x:99999"])),
        _ => {
            let there = elsewhere(1).remove(0);
            body.insert("hosts", vec![there.clone()]);
            body.insert("me", there);
        }
    }
    said(answer, &body)
}
