//! The shapes of the ledger's own words in `/openapi.json`: the ledger knows no transport, so it
//! cannot describe them itself.

use std::borrow::Cow;

use runledger_ledger::subject::SubjectState;
use runledger_ledger::words::{NAME_BYTES, NOTE_BYTES, UniqueMode};
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::EventData;
use super::data::{
    ARTIFACTS, CancelledData, DispatchedData, EXTERNAL_IDS, EndedData, FIELDS, FailedData,
    FollowUpData, HeartbeatData, ObservedData, StartedData, SucceededData, WorkerSeenData,
    WorkerStoppedData,
};

/// Any of the data types. Not one of them: what all signals may name is data of each of them.
macro_rules! any_of {
    ($($data:ty),+ $(,)?) => {
        impl PartialSchema for EventData {
            fn schema() -> RefOr<Schema> {
                let any = AnyOfBuilder::new().description(Some("What there is to say, by type."));
                $(let any = any.item(Ref::from_schema_name(<$data>::name()));)+
                RefOr::T(any.into())
            }
        }

        impl ToSchema for EventData {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed("EventData")
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push((<$data>::name().into_owned(), <$data>::schema()));
                    <$data as ToSchema>::schemas(schemas);
                )+
            }
        }
    };
}
any_of!(
    DispatchedData,
    StartedData,
    HeartbeatData,
    SucceededData,
    FailedData,
    CancelledData,
    EndedData,
    FollowUpData,
    ObservedData,
    WorkerSeenData,
    WorkerStoppedData,
);

/// `{"type": …, "id": …}`.
pub(super) fn thing() -> Schema {
    one_thing().into()
}

/// A list of things.
pub(super) fn things() -> Schema {
    ArrayBuilder::new().items(one_thing()).max_items(Some(ARTIFACTS)).into()
}

/// A list of `{"source": …, "kind": …, "id": …}`.
pub(super) fn external_ids() -> Schema {
    ArrayBuilder::new().items(one_external_id()).max_items(Some(EXTERNAL_IDS)).into()
}

/// `{"source": …, "kind": …, "id": …}`.
pub(super) fn external_id() -> Schema {
    one_external_id().into()
}

fn one_external_id() -> ObjectBuilder {
    let fields = ["source", "kind", "id"];
    let object = fields
        .into_iter()
        .fold(ObjectBuilder::new(), |object, field| object.property(field, name()).required(field));
    object.additional_properties(closed())
}

/// Who makes something happen.
pub(super) fn actor() -> Schema {
    let kind = name()
        .description(Some("A word for what it is, such as `user`, `token`, `adapter` or `system`"));
    let object = ObjectBuilder::new().property("id", name()).property("kind", kind);
    object.required("id").required("kind").additional_properties(closed()).into()
}

/// A flat map of texts, whole numbers and flags.
pub(super) fn fields() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(NOTE_BYTES));
    let flag = ObjectBuilder::new().schema_type(Type::Boolean);
    let value = OneOfBuilder::new().item(text).item(whole()).item(flag);
    let object = ObjectBuilder::new().max_properties(Some(FIELDS));
    object.additional_properties(Some(RefOr::T(Schema::from(value)))).into()
}

/// How far a run is.
pub(super) fn progress() -> Schema {
    let pair = ArrayBuilder::new().items(count()).min_items(Some(2)).max_items(Some(2));
    let parts = ObjectBuilder::new()
        .description(Some("name to [done, total]"))
        .additional_properties(Some(RefOr::T(Schema::from(pair))));
    let object = ObjectBuilder::new()
        .property("phase", name())
        .property("done", count())
        .property("total", count())
        .property("parts", parts);
    object.additional_properties(closed()).into()
}

/// What of a run may be active only once.
pub(super) fn unique() -> Schema {
    one_of(UniqueMode::ALL.iter().map(|word| word.as_str()))
}

/// What was seen of a subject.
pub(super) fn subject_state() -> Schema {
    one_of(SubjectState::ALL.iter().map(|word| word.as_str()))
}

fn one_thing() -> ObjectBuilder {
    let object = ObjectBuilder::new().property("type", name()).property("id", name());
    object.required("type").required("id").additional_properties(closed())
}

fn one_of(words: impl Iterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}

fn name() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(NAME_BYTES))
}

fn whole() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format))
}

fn count() -> ObjectBuilder {
    whole().minimum(Some(0))
}

/// No other members.
fn closed() -> Option<AdditionalProperties<Schema>> {
    Some(AdditionalProperties::FreeForm(false))
}
