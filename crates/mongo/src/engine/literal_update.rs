//! Updates that hold whatever stands in a document. The usual operators refuse where another type stands at a path, or
//! above it: a counter that is no number, a level that is null, a list that is none. What a subscriber is sent does not
//! wait for that to be mended: the transaction is run again with these, which put what is wanted in its place.
//!
//! They are pipelines: every value in them is a `$literal`, for a text may begin with `$`, and a name may be anything.

use bson::{Bson, Document, doc};

/// The update as a pipeline; as it is where it says what a pipeline cannot, or is one already.
pub(crate) fn forced_bson(update: Bson) -> Bson {
    match update {
        Bson::Document(update) => match force_update(&update) {
            Some(stages) => stages.into(),
            None => update.into(),
        },
        pipeline => pipeline,
    }
}

/// The same; none where it says what a pipeline cannot: by position in a list, or with another operator.
pub(crate) fn force_update(update: &Document) -> Option<Vec<Document>> {
    let mut levels = Document::new();
    let mut set = Document::new();
    let mut unset = Vec::new();
    for (operator, fields) in update {
        for (path, value) in fields.as_document()? {
            if !is_plain(path) {
                return None;
            }
            if operator == "$unset" {
                unset.push(Bson::from(path.as_str()));
                continue;
            }
            set.insert(path, change_stage(operator, path, value)?);
            add_levels(path, &mut levels);
        }
    }
    // Levels first, from the top down: a path through what is no document leads nowhere.
    let mut stages: Vec<Document> = levels.into_iter().map(|(path, level)| doc! { "$set": { path: level } }).collect();
    if !set.is_empty() {
        stages.push(doc! { "$set": set });
    }
    if !unset.is_empty() {
        stages.push(doc! { "$unset": unset });
    }
    Some(stages)
}

/// Whether a path names fields only. A part that is a number may be a place in a list.
fn is_plain(path: &str) -> bool {
    path.split('.')
        .all(|part| !part.is_empty() && !part.starts_with('$') && !part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn add_levels(path: &str, levels: &mut Document) {
    for (at, _) in path.match_indices('.') {
        let level = &path[..at];
        let kept = format!("${level}");
        let is_document = doc! { "$eq": [{ "$type": &kept }, "object"] };
        levels.insert(level, doc! { "$cond": [is_document, kept, { "$literal": {} }] });
    }
}

/// What stands at the path afterwards.
fn change_stage(operator: &str, path: &str, value: &Bson) -> Option<Document> {
    let kept = format!("${path}");
    Some(match operator {
        "$set" => literal(value.clone()),
        "$inc" => {
            let counted = doc! { "$cond": [{ "$isNumber": &kept }, &kept, 0] };
            doc! { "$add": [counted, literal(value.clone())] }
        }
        "$max" => doc! { "$max": [kept, literal(value.clone())] },
        "$push" => {
            let each = value.as_document().and_then(|value| value.get_array("$each").ok());
            let new = each.cloned().unwrap_or_else(|| vec![value.clone()]);
            let list = doc! { "$cond": [{ "$isArray": &kept }, &kept, []] };
            doc! { "$concatArrays": [list, literal(new.into())] }
        }
        _ => return None,
    })
}

fn literal(value: Bson) -> Document {
    doc! { "$literal": value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_a_literal_and_every_level_is_made() {
        let update = doc! {
            "$set": { "a.b.c": "$price", "d": { "$oid": "x" } }, "$inc": { "a.n": 1 }, "$unset": { "e.f": "" },
            "$push": { "l": { "$each": ["$x"] } },
        };
        let stages = force_update(&update).unwrap();
        let paths: Vec<Vec<&String>> =
            stages.iter().filter_map(|stage| stage.get_document("$set").ok()).map(|set| set.keys().collect()).collect();
        assert_eq!(paths, [vec!["a"], vec!["a.b"], vec!["a.b.c", "d", "a.n", "l"]]);
        let set = stages[2].get_document("$set").unwrap();
        assert_eq!(set.get_document("a.b.c").unwrap(), &doc! { "$literal": "$price" });
        assert_eq!(set.get_document("d").unwrap(), &doc! { "$literal": { "$oid": "x" } });
        assert_eq!(stages[3], doc! { "$unset": ["e.f"] });
    }

    #[test]
    fn what_a_pipeline_cannot_say_is_left_as_it_is() {
        for update in [doc! { "$set": { "a.$.b": 1 } }, doc! { "$set": { "a.0": 1 } }, doc! { "$rename": { "a": "b" } }]
        {
            assert_eq!(force_update(&update), None);
            assert_eq!(forced_bson(update.clone().into()), update.into());
        }
        let pipeline = Bson::from(vec![doc! { "$set": { "a": 1 } }]);
        assert_eq!(forced_bson(pipeline.clone()), pipeline);
    }
}
