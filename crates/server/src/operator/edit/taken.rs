//! Which other document has a value that only one may have.

use alertcast_core::store::Collection;
use bson::Document;

use super::{EditError, EditableDocuments};
use crate::base::Base;
use crate::document_input::name_of;
use crate::document_paths::at;
use crate::operator::Actor;

/// What stands against a document that could not be written: which other one has its unique value, as far as whoever
/// acts may see it. `field`: the fields that are unique together, divided by commas.
pub(super) async fn describe_taken(
    base: &Base,
    who: &Actor,
    documents: &EditableDocuments,
    field: &str,
    document: &Document,
) -> EditError {
    let fields: Vec<&str> = field.split(", ").collect();
    let collection = documents.collection();
    let may_see = who.permissions.hold(documents.kind.view);
    let which = find_other(base, collection, &fields, document).await.map_or_else(String::new, |other| {
        let id = other.get_object_id("_id").map(|id| format!(", {id}")).unwrap_or_default();
        let name = name_of(collection, &other).filter(|_| may_see);
        format!("{id}{},", name.map_or_else(String::new, |name| format!(" ({name:?})")))
    });
    let what = format!("another {}{which} has this {} already", documents.kind.called, fields.join(", "));
    EditError::Taken { fields: fields.into_iter().map(str::to_owned).collect(), what }
}

/// The document that has these values of this one.
async fn find_other(base: &Base, collection: Collection, fields: &[&str], document: &Document) -> Option<Document> {
    const KEY: &str = "alertcast.transactionKey";
    let of = |fields: &[&'static str]| {
        fields.iter().map(|field| Some((*field, at(document, field)?.clone()))).collect::<Option<Vec<_>>>()
    };
    let unique = collection.indexes().iter().filter(|index| index.unique);
    let keys = unique.map(|index| index.keys.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    let named = keys.into_iter().find(|keys| keys == fields);
    let guarded =
        (collection == Collection::UserSubscriptions && fields == ["payment.transactionId"]).then(|| vec![KEY]);
    for keys in guarded.into_iter().chain(named) {
        if let Some(values) = of(&keys)
            && let Ok(Some(found)) = base.store.find_unique(collection, &values).await
            && found.get("_id") != document.get("_id")
        {
            return Some(found);
        }
    }
    None
}
