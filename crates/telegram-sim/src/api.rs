//! The methods of the Bot API. HTTP, faults and counting happen outside; here a call becomes a result or an error.

use std::sync::Arc;

use serde_json::json;

use crate::answer::{BotApiError, BotApiResult, result};
use crate::bot::SimBot;
use crate::files::FileKind;
use crate::params::CallParams;
use crate::record::SenderView;
use crate::sim::SimState;

mod edit;
pub(crate) mod message;
mod send;
mod text;
mod updates;

/// One call of a method, read from a request.
#[derive(Debug)]
pub(crate) struct MethodCall {
    pub(crate) bot: Arc<SimBot>,
    /// In lower case.
    pub(crate) method: String,
    pub(crate) params: CallParams,
}

/// Carries a call out. `answered` is what its sender will get to see, for the record.
pub(crate) async fn carry_out(state: &Arc<SimState>, call: &MethodCall, answered: SenderView) -> BotApiResult {
    let MethodCall { bot, params, .. } = call;
    match call.method.as_str() {
        "sendmessage" => send::send_message(state, bot, params, answered),
        "sendphoto" => send::send_file(state, bot, params, answered, FileKind::Photo),
        "senddocument" => send::send_file(state, bot, params, answered, FileKind::Document),
        "getfile" => get_file(state, params),
        "editmessagetext" => edit::edit_message_text(state, bot, params, answered),
        "editmessagecaption" => edit::edit_message_caption(state, bot, params, answered),
        "getme" => result(&bot.me()),
        "getchat" => message::get_chat(state, bot, params),
        "getupdates" => updates::get_updates(state, bot, params).await,
        "setwebhook" => updates::set_webhook(state, bot, params),
        "deletewebhook" => updates::delete_webhook(bot, params),
        "getwebhookinfo" => result(&updates::webhook_info(bot)),
        "answercallbackquery" => updates::answer_callback_query(state, bot, params),
        // Taken without effect, as their effect is nothing that a chat shows.
        "setmycommands" | "deletemycommands" | "sendchataction" => result(&json!(true)),
        _ => Err(BotApiError::method_not_found()),
    }
}

fn get_file(state: &SimState, params: &CallParams) -> BotApiResult {
    let file_id = params.text("file_id").unwrap_or_default();
    let file = state.files.info(&file_id).ok_or_else(|| BotApiError::bad_request("invalid file_id"))?;
    result(&file.file_with_path())
}
