//! A message as an HTML mail: one column that a phone shows without zooming, all style beside its element because mail
//! programs throw away the rest. Pure.

use super::super::OutgoingMessage;
use super::mail::STOP;

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const CODE: &str = "<code style=\"font-family:Menlo,Consolas,monospace;font-size:15px\">";

/// The page. The message's markup is made by us, its values are escaped.
pub(super) fn page(outgoing: &OutgoingMessage, subject: &str, why: &str, link: Option<&str>) -> String {
    let (subject, why) = (escape_html(subject), escape_html(why));
    let opening = outgoing.opening.as_deref().map(open_html).unwrap_or_default();
    let body = paragraphs(&outgoing.message.html);
    let stop = link
        .map(|link| {
            let link = escape_html(link);
            format!("<br><a href=\"{link}\" style=\"color:#5f6673\">{STOP}</a>")
        })
        .unwrap_or_default();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{subject}</title>\n</head>\n\
         <body style=\"margin:0;padding:0;background:#f2f3f5\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\">\n\
         <tr><td align=\"center\" style=\"padding:16px 8px\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" \
         style=\"max-width:520px;background:#ffffff;border-radius:8px\">\n\
         <tr><td style=\"padding:20px 24px 8px;{FONT};font-size:16px;line-height:1.5;color:#1c1f24\">\n{opening}{body}\
         </td></tr>\n</table>\n\
         <p style=\"max-width:520px;margin:12px auto;{FONT};font-size:12px;line-height:1.5;color:#5f6673\">\
         {why}{stop}</p>\n</td></tr>\n</table>\n</body>\n</html>\n"
    )
}

/// What a list of mails shows of it beside its subject.
fn open_html(text: &str) -> String {
    format!("<p style=\"margin:0 0 10px;font-weight:600\">{}</p>\n", escape_html(text))
}

/// A paragraph for each block of lines; the very first line is the heading.
fn paragraphs(html: &str) -> String {
    let (heading, rest) = html.split_once('\n').unwrap_or((html, ""));
    let mut page =
        format!("<h1 style=\"margin:0 0 4px;font-size:20px;line-height:1.3;font-weight:600\">{heading}</h1>\n");
    for block in rest.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let lines = block.replace('\n', "<br>\n");
        page.push_str(&format!("<p style=\"margin:0 0 14px\">{lines}</p>\n"));
    }
    page.replace("<code>", CODE)
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
