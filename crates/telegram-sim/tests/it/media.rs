//! Pictures and documents, both ways.

use reqwest::multipart::{Form, Part};
use serde_json::json;
use telegram_sim::{FileKind, SimConfig, UserFile};

use crate::support::{Answer, BOT, Bench, TOKEN};

/// The start of a PNG of 300 by 200.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x2c\0\0\0\xc8";

async fn send_form(bench: &Bench, method: &str, form: Form) -> Answer {
    let url = format!("{}/bot{TOKEN}/{method}", bench.server.url());
    let response = bench.client.post(url).multipart(form).send().await.unwrap();
    Answer { status: response.status().as_u16(), body: response.json().await.unwrap() }
}

#[tokio::test]
async fn a_bot_sends_a_picture_with_a_caption_and_sends_it_again() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    let picture = Part::bytes(PNG).file_name("qr.png").mime_str("image/png").unwrap();
    let form = Form::new().text("chat_id", "7").text("caption", "<b>Pay</b> here").text("parse_mode", "HTML");
    let sent = send_form(&bench, "sendPhoto", form.part("photo", picture)).await.ok();
    assert_eq!((&sent["caption"], &sent["photo"][0]["width"]), (&json!("Pay here"), &json!(300)));
    assert!(sent.get("text").is_none());
    let message: frankenstein::types::Message = serde_json::from_value(sent.clone()).unwrap();
    assert_eq!(message.caption_entities.unwrap().len(), 1);
    let file_id = &sent["photo"][0]["file_id"];
    bench.call("sendPhoto", json!({ "chat_id": 8, "photo": file_id })).await.ok();
    assert_eq!(bench.sim.file_bytes(file_id.as_str().unwrap()).unwrap(), PNG);
    let edit = json!({ "chat_id": 7, "message_id": 1, "caption": "Paid" });
    assert_eq!(bench.call("editMessageCaption", edit).await.ok()["caption"], "Paid");
    let edit = json!({ "chat_id": 7, "message_id": 1, "text": "Paid" });
    let refused = bench.call("editMessageText", edit).await.error();
    assert_eq!(refused, (400, "Bad Request: there is no text in the message to edit".to_owned()));
    assert!(bench.sim.chat_text(7).contains("<qr.png, 24 bytes>\nPaid\n"));
}

#[tokio::test]
async fn an_attached_document_keeps_its_name() {
    let bench = Bench::new().await;
    let document = Part::bytes(b"%PDF".as_slice()).file_name("statement.pdf").mime_str("application/pdf").unwrap();
    let form = Form::new().text("chat_id", "7").text("document", "attach://one").part("one", document);
    let sent = send_form(&bench, "sendDocument", form).await.ok();
    assert_eq!(sent["document"]["file_name"], "statement.pdf");
    assert_eq!(sent["document"]["mime_type"], "application/pdf");
    let none = bench.call("sendDocument", json!({ "chat_id": 8 })).await.error();
    assert_eq!(none, (400, "Bad Request: there is no document in the request".to_owned()));
}

#[tokio::test]
async fn a_users_proof_is_downloaded_by_the_bot() {
    let bench = Bench::new().await;
    let file =
        UserFile { kind: FileKind::Photo, name: "proof.png".to_owned(), bytes: PNG.to_vec(), ..UserFile::default() };
    bench.sim.send_user_file(BOT, 7, 7, file).unwrap();
    let updates = bench.call("getUpdates", json!({})).await.ok();
    let file_id = &updates[0]["message"]["photo"][0]["file_id"];
    let file = bench.call("getFile", json!({ "file_id": file_id })).await.ok();
    let path = file["file_path"].as_str().unwrap();
    let url = format!("{}/file/bot{TOKEN}/{path}", bench.server.url());
    let response = bench.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.bytes().await.unwrap(), PNG);
    let unknown = bench.call("getFile", json!({ "file_id": "nothing" })).await.error();
    assert_eq!(unknown, (400, "Bad Request: invalid file_id".to_owned()));
}

#[tokio::test]
async fn another_process_uploads_for_a_user() {
    let bench = Bench::new().await;
    let url = format!("{}/sim/files?bot={BOT}&from=7&kind=document&name=proof.pdf", bench.server.url());
    assert!(bench.client.post(url).body("%PDF").send().await.unwrap().status().is_success());
    let updates = bench.call("getUpdates", json!({})).await.ok();
    assert_eq!(updates[0]["message"]["document"]["mime_type"], "application/pdf");
}
