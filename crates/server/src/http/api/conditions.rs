//! `If-Match` and `If-None-Match` (RFC 9110, 13.1): under which state of a document a request is to be done. They are read
//! for every route, before anything is done: one that cannot be read is refused, and none is passed over.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::Value;

use super::error::{ApiResult, bad_query, wrong};
use super::reply::etag;
use crate::document_input::FieldCode;
use crate::http::problem::ProblemResponse;

/// What a request asks of the document as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RequestConditions {
    if_match: Option<EntityTags>,
    if_none_match: Option<EntityTags>,
}

/// The states that a header names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EntityTags {
    /// `*`: whatever it is.
    Any,
    These(Vec<EntityTag>),
}

/// One entity tag, with its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    quoted: Vec<u8>,
}

impl RequestConditions {
    /// Reads them.
    pub(super) fn of(headers: &HeaderMap) -> ApiResult<Self> {
        Ok(Self {
            if_match: tags(headers, &header::IF_MATCH, "If-Match")?,
            if_none_match: tags(headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Whether the document matters at all.
    pub(super) const fn are_there(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Refuses a change of a document that is not the one that the sender knows.
    pub(super) fn hold(&self, current: &Value) -> ApiResult<()> {
        let tag = etag(&current.to_string());
        if self.if_match.as_ref().is_some_and(|tags| !tags.name(&tag, TagComparison::Strong)) {
            return Err(
                condition_failed("the document is not the one that If-Match names any more: read it again").into()
            );
        }
        if self.if_none_match.as_ref().is_some_and(|tags| tags.name(&tag, TagComparison::Weak)) {
            return Err(condition_failed("the document is the one that If-None-Match names").into());
        }
        Ok(())
    }

    /// Of a document that is read: whether the sender has it as it is.
    pub(super) fn not_modified(&self, current: &Value) -> ApiResult<bool> {
        let tag = etag(&current.to_string());
        if self.if_match.as_ref().is_some_and(|tags| !tags.name(&tag, TagComparison::Strong)) {
            return Err(condition_failed("the document is not the one that If-Match names any more").into());
        }
        Ok(self.if_none_match.as_ref().is_some_and(|tags| tags.name(&tag, TagComparison::Weak)))
    }

    /// Refuses a condition about an address that has no ETag: it cannot hold.
    pub(super) fn without_document(&self) -> ApiResult<()> {
        match self.if_match {
            Some(_) => {
                Err(condition_failed("this address has no ETag, so that If-Match cannot hold: leave it out").into())
            }
            None => Ok(()),
        }
    }
}

fn condition_failed(detail: &str) -> ProblemResponse {
    ProblemResponse::new(StatusCode::PRECONDITION_FAILED, "Changed meanwhile", detail)
}

/// How tags are compared (RFC 9110, 8.8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TagComparison {
    /// A weak one is never the same.
    Strong,
    Weak,
}

impl EntityTags {
    fn name(&self, tag: &str, comparison: TagComparison) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => {
                tags.iter().any(|one| (comparison == TagComparison::Weak || !one.weak) && one.quoted == tag.as_bytes())
            }
        }
    }
}

/// All lines of a header count as one list.
fn tags(headers: &HeaderMap, name: &HeaderName, shown: &'static str) -> ApiResult<Option<EntityTags>> {
    let mut found: Option<EntityTags> = None;
    for value in headers.get_all(name) {
        let read = read(value.as_bytes()).ok_or_else(|| {
            let what = "is * or a list of ETags as they came, with their quotes: \"1f2e…\"";
            bad_query(vec![wrong(shown, FieldCode::Invalid, what)])
        })?;
        found = Some(match (found, read) {
            (None, read) => read,
            (Some(EntityTags::These(mut all)), EntityTags::These(more)) => {
                all.extend(more);
                EntityTags::These(all)
            }
            _ => EntityTags::Any,
        });
    }
    Ok(found)
}

fn read(text: &[u8]) -> Option<EntityTags> {
    let mut rest = text.trim_ascii();
    if rest == b"*" {
        return Some(EntityTags::Any);
    }
    let mut all = Vec::new();
    loop {
        let weak = rest.starts_with(b"W/");
        let quoted = if weak { &rest[2..] } else { rest };
        let end = quoted.strip_prefix(b"\"")?.iter().position(|byte| *byte == b'"')? + 2;
        let (tag, after) = quoted.split_at_checked(end)?;
        // Blanks and control characters are in no tag; bytes above ASCII may be, though in none of ours.
        if tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        all.push(EntityTag { weak, quoted: tag.to_vec() });
        rest = after.trim_ascii_start();
        if rest.is_empty() {
            return Some(EntityTags::These(all));
        }
        rest = rest.strip_prefix(b",")?.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn conditions(lines: &[&[u8]]) -> ApiResult<RequestConditions> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_bytes(line).unwrap());
        }
        RequestConditions::of(&headers)
    }

    #[test]
    fn a_condition_holds_or_fails_or_is_refused_and_is_never_passed_over() {
        let document = json!({"a": 1});
        let tag = etag(&document.to_string());
        let holds = [tag.clone(), "*".to_owned(), format!("\"x\" , {tag}"), format!("{tag},\"a,b\"")];
        for line in &holds {
            assert!(conditions(&[line.as_bytes()]).unwrap().hold(&document).is_ok(), "{line}");
        }
        assert!(conditions(&[b"\"x\"", tag.as_bytes()]).unwrap().hold(&document).is_ok(), "two lines are one list");
        for line in [&b"\"x\""[..], "\"é\"".as_bytes(), b"\"\xff\"", format!("W/{tag}").as_bytes(), b"\"\""] {
            assert!(conditions(&[line]).unwrap().hold(&document).is_err(), "{line:?}");
        }
        for line in
            [&b""[..], b",", b"x", "é".as_bytes(), b"\xff", b"\"", b"\"a", b"a\"", b"\"a\" \"b\"", b"\"a b\"", b"*,*"]
        {
            assert!(conditions(&[line]).is_err(), "{line:?}");
        }
        assert!(!conditions(&[]).unwrap().are_there());
    }
}
