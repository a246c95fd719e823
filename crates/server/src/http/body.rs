//! Reads a request's body without ever holding more of it than is allowed.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;

/// After too much has come, this much more is read and thrown away, so that the sender gets to read the answer: a
/// connection that is closed with data on its way is reset.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why there is no whole body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// More than allowed; with what was allowed of it.
    TooLarge { start: Vec<u8> },
    /// The sender broke off, or sent something that is no HTTP.
    Broken,
}

/// Reads a body of at most `bytes_max`.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let room = bytes_max - whole.len();
        if data.len() > room {
            whole.extend_from_slice(&data[..room]);
            discard(body).await;
            return Err(BodyError::TooLarge { start: whole });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while discarded < DISCARDED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn chunks(sizes: &'static [usize]) -> Body {
        let chunk = |size: &usize| Ok::<_, std::io::Error>(vec![b'x'; *size]);
        Body::from_stream(stream::iter(sizes.iter().map(chunk)))
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        assert_eq!(read(chunks(&[4, 0, 6]), 10).await.unwrap().len(), 10);
        assert_eq!(read(Body::empty(), 10).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn of_a_longer_one_only_what_is_allowed_is_held() {
        for sizes in [&[11][..], &[4, 7], &[10, 1], &[6, 6, 1_000_000]] {
            let BodyError::TooLarge { start } = read(chunks(sizes), 10).await.unwrap_err() else { panic!() };
            assert_eq!(start.len(), 10);
        }
    }

    #[tokio::test]
    async fn a_sender_that_breaks_off_is_told_apart() {
        let body = Body::from_stream(stream::iter([Ok(vec![1]), Err(std::io::Error::other("gone"))]));
        assert!(matches!(read(body, 10).await, Err(BodyError::Broken)));
    }
}
