//! A message as an HTML mail: one column that a phone shows without zooming, all style beside its element because mail
//! programs throw away the rest. Pure.

use askama::Template;

use super::super::OutgoingMessage;
use super::mail::STOP;

const CODE: &str = "<code style=\"font-family:Menlo,Consolas,monospace;font-size:15px\">";

/// The page. `heading` and `blocks` are the message's markup, which is made by us; everything else is text.
#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage<'a> {
    subject: &'a str,
    /// What a list of mails shows of it beside its subject.
    opening: Option<&'a str>,
    heading: &'a str,
    /// A paragraph each.
    blocks: Vec<String>,
    why: &'a str,
    link: Option<&'a str>,
    stop: &'static str,
}

/// The page.
///
/// # Errors
/// None that the template's writing to memory could bring about.
pub(super) fn page(
    outgoing: &OutgoingMessage,
    subject: &str,
    why: &str,
    link: Option<&str>,
) -> Result<String, askama::Error> {
    let html = outgoing.message.html.replace("<code>", CODE);
    let (heading, rest) = html.split_once('\n').unwrap_or((html.as_str(), ""));
    let blocks = rest.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let blocks = blocks.map(|block| block.replace('\n', "<br>\n")).collect();
    let opening = outgoing.opening.as_deref();
    MailPage { subject, opening, heading, blocks, why, link, stop: STOP }.render()
}
