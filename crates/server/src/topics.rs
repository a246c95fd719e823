//! Topics of groups that are not there any more: what was for one goes to its group's general topic, and the operators
//! hear of it once, with what to do.

use alertcast_core::delivery::{chat_of, topic_of};
use alertcast_core::id::UserId;

use crate::notices::NoticeTrouble;

/// What the operators hear of such a topic. `user`: whose it is; none for their own.
pub(crate) fn trouble(user: Option<UserId>, place: &str) -> NoticeTrouble {
    let topic = topic_of(place).map_or_else(|| "none".to_owned(), |topic| topic.to_string());
    let cure = match user {
        Some(user) => format!(
            "Set another topic, or null for the general one: PATCH /api/v1/users/{user} \
             {{\"alertcast\": {{\"topicId\": null}}}}"
        ),
        None => "Set another one in telegram.operator_chats (-100…:5), or the group's number alone".to_owned(),
    };
    NoticeTrouble {
        group: format!("topic gone:{place}"),
        title: "A group's topic is not there".to_owned(),
        lines: vec![
            format!("Group {}, topic {topic}: it was deleted or closed, or the group has no topics", chat_of(place)),
            "Its messages go to the group's general topic meanwhile".to_owned(),
            cure,
        ],
        alert: None,
    }
}
