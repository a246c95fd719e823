//! Reading what others write too, where nothing hangs on it.

use bson::Bson;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// For `deserialize_with`: a value that cannot be read is as if it were not there. Statistics are read so: a document
/// does not fail a subscriber because a counter in it is no number.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Bson::deserialize(deserializer)?;
    Ok(bson::deserialize_from_bson(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use bson::oid::ObjectId;
    use bson::{Bson, doc};

    use crate::money::Count;
    use crate::preference::{AlertPreference, PreferenceStatistics};
    use crate::store::{Collection, read};
    use crate::subscription::Usage;
    use crate::time::Time;

    #[test]
    fn of_statistics_only_what_cannot_be_read_is_left_out() {
        let read = |usage| bson::deserialize_from_document::<Usage>(usage).unwrap();
        let at = Time::from_millis(7);
        for bad in [Bson::Null, "12".into(), f64::NAN.into(), 1e300.into(), Bson::Array(vec![3.into()])] {
            let usage = read(doc! { "alertsReceived": bad, "tradesOpened": 3, "lastActivityAt": at });
            let kept = Usage { alerts_received: Count(0), trades_opened: Count(3), last_activity_at: Some(at) };
            assert_eq!(usage, kept);
        }
        assert_eq!(read(doc! { "alertsReceived": 2, "lastActivityAt": "today" }).last_activity_at, None);
    }

    #[test]
    fn a_document_is_read_whatever_stands_in_the_place_of_its_statistics() {
        for bad in [Bson::Null, "none".into(), Bson::Array(Vec::new()), 1.into()] {
            let [id, user, subscription, config] = [1_u8, 2, 3, 4].map(|n| ObjectId::from_bytes([n; 12]));
            let kept = doc! {
                "_id": id, "userId": user, "subscriptionId": subscription, "alertConfigId": config, "statistics": bad,
            };
            let read: AlertPreference = read(Collection::UserAlertPreferences, kept).unwrap();
            assert_eq!(read.statistics, PreferenceStatistics::default());
        }
    }
}
