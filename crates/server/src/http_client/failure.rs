//! Why there is no answer, and whether the request may have been read all the same.

use std::error::Error;
use std::io;

/// No answer came.
#[derive(Debug)]
pub(crate) enum HttpFailure {
    /// No connection came about: nothing was written.
    Unreachable(Box<dyn Error + Send + Sync>),
    /// It took too long.
    TimedOut { in_doubt: bool },
    /// The connection ended.
    Lost { cause: Box<dyn Error + Send + Sync>, in_doubt: bool },
    /// The answer is longer than any that makes sense.
    TooLong { status: u16 },
}

impl HttpFailure {
    /// A connection that ended with a request. `handed_over`: it had begun to be written.
    pub(super) fn lost(error: hyper::Error, handed_over: bool) -> Self {
        let in_doubt = handed_over && !is_broken_pipe(&error);
        Self::Lost { cause: Box::new(error), in_doubt }
    }

    /// Whether the request may have been read, and acted on.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Unreachable(_) => false,
            Self::TimedOut { in_doubt } | Self::Lost { in_doubt, .. } => *in_doubt,
            Self::TooLong { .. } => true,
        }
    }

    /// What was at the bottom of it.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Unreachable(error) | Self::Lost { cause: error, .. } => {
                let deepest = std::iter::successors(Some(&**error as &dyn Error), |&error| error.source()).last();
                deepest.map(ToString::to_string)
            }
            Self::TimedOut { .. } | Self::TooLong { .. } => None,
        }
    }
}

/// Writing fails so when the other side had closed the connection before: then it did not read the request. A request
/// of which a part was read is not acted on.
fn is_broken_pipe(error: &hyper::Error) -> bool {
    std::iter::successors(error.source(), |&error| error.source())
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}
