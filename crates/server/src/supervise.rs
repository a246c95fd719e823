//! Keeps the parts of the running program at work. One that meets a defect (it panics, or ends without being asked to) is
//! logged, counted, shown as degraded, and begun anew, ever later where that does not help. The others go on.
//!
//! That is safe for every part that is begun here: what it does is fenced by a lease and committed whole, so that a
//! part that broke off is as one that was killed, and its successor finds what it left. A defect in one message, one
//! alert or one write is caught where it happens and never comes this far. Where nothing can be begun anew (the
//! listening socket is gone), the process ends with a message and exit code 1 (`Running::broken`).

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::base::Base;
use crate::degraded::TroubleKind;
use crate::supervised_part::SupervisedPart;

/// How long a part that failed rests; twice as long each further time.
const REST_FIRST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
/// Who has worked so long is well again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Runs a part until `stop`, again and again. `which`: one of several of its kind; empty where there is one. `begin`
/// hears whether it ran before: then anything may have happened meanwhile that it was to note.
pub(crate) async fn keep_at_work<F: Future<Output = ()>>(
    base: &Base,
    part: SupervisedPart,
    which: &str,
    stop: &CancellationToken,
    mut begin: impl FnMut(bool) -> F,
) {
    let about = if which.is_empty() { part.word().to_owned() } else { format!("{} {which}", part.word()) };
    let (mut rest, mut again) = (REST_FIRST, false);
    loop {
        let well = || {
            info!(part = about, "a part of the program works again");
            base.degraded.clear(TroubleKind::FailingPart, &about);
        };
        let (ended, was_well) = once(base, begin(again), again.then_some(well)).await;
        if was_well {
            rest = REST_FIRST;
        }
        let what = match ended {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => "it ended unasked".to_owned(),
            Err(what) => what,
        };
        report_failure(base, part, &about, &what, rest);
        tokio::select! {
            () = stop.cancelled() => return,
            () = base.clock.sleep(rest) => {}
        }
        rest = (rest * 2).min(REST_MAX);
        again = true;
    }
}

/// Runs a part once, to its end: what it held is let go before this returns. `well` is called when it has worked for a
/// while; answers whether it has.
async fn once(base: &Base, work: impl Future<Output = ()>, well: Option<impl FnOnce()>) -> (Result<(), String>, bool) {
    let mut work = std::pin::pin!(AssertUnwindSafe(work).catch_unwind());
    let early = tokio::select! {
        biased;
        ended = &mut work => Some(ended),
        () = base.clock.sleep(WELL_AFTER), if well.is_some() => None,
    };
    let was_well = early.is_none();
    let ended = match early {
        Some(ended) => ended,
        None => {
            well.into_iter().for_each(|well| well());
            work.await
        }
    };
    (ended.map_err(|panic| panic_message(&*panic)), was_well)
}

fn report_failure(base: &Base, part: SupervisedPart, about: &str, what: &str, rest: Duration) {
    error!(part = about, what, "a part of the program met a defect; it is begun anew in {} s", rest.as_secs());
    base.metrics.part_failed(part);
    let text = format!(
        "The part {about} of the program met a defect and is begun anew; what it had in hand is taken up again. The \
         log says what it was: please report it."
    );
    base.degraded.set(TroubleKind::FailingPart, about, text);
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
