//! What a decision about a subscription takes in.

use alertcast_core::subscription::lifecycle::{CancellationTime, PaymentApproval, PaymentRejection};
use serde_json::Value;

use super::values::{flag, text, time, word};
use super::{FieldProblem, read_whole};

/// Reads how a payment is approved: from when to when, where an operator says so, and whether that takes the place of
/// another decision.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_approval(value: Value) -> Result<PaymentApproval, Vec<FieldProblem>> {
    read_whole(value, |fields| {
        let (start, end) = (fields.optional("startDate", time), fields.optional("endDate", time));
        Some(PaymentApproval { length: None, start, end, overrules: fields.or("overrules", false, flag) })
    })
}

/// Reads why a payment is rejected, and whether that takes the place of another decision.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_rejection(value: Value) -> Result<PaymentRejection, Vec<FieldProblem>> {
    read_whole(value, |fields| {
        let (reason, overrules) = (fields.read_required("reason", text), fields.or("overrules", false, flag));
        reason.map(|reason| PaymentRejection { reason: Some(reason), overrules })
    })
}

/// Reads when a subscription is to end.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_cancellation(value: Value) -> Result<CancellationTime, Vec<FieldProblem>> {
    read_whole(value, |fields| fields.read_required("when", word(CancellationTime::ALL)))
}
