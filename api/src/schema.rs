//! The shapes of standings and answers in `/openapi.json`. The ledger and the read models know no
//! transport, so they cannot describe themselves; tests hold every answer against what is said
//! here, and refuse members that are not described.

pub mod adapters;
pub mod answers;
pub mod claims;
pub mod diff;
pub mod simulation;
pub mod standing;
pub mod timeline;

use runledger_ledger::words::NAME_BYTES;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};

/// One member of an object.
pub struct Member {
    name: &'static str,
    schema: RefOr<Schema>,
    required: bool,
    what: &'static str,
}

impl Member {
    /// A member that is always there, or may be left out.
    pub fn new(
        name: &'static str,
        schema: RefOr<Schema>,
        required: bool,
        what: &'static str,
    ) -> Self {
        Member { name, schema, required, what }
    }
}

/// The schema of an object with these members.
pub fn object(what: &'static str, members: Vec<Member>) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new().schema_type(Type::Object).description(Some(what.trim()));
    for Member { name, mut schema, required, what } in members {
        match &mut schema {
            RefOr::Ref(of) => what.clone_into(&mut of.description),
            RefOr::T(Schema::Object(of)) => of.description = Some(what.to_owned()),
            RefOr::T(Schema::Array(of)) => of.description = Some(what.to_owned()),
            RefOr::T(_) => {}
        }
        object = object.property(name, schema);
        if required {
            object = object.required(name);
        }
    }
    RefOr::T(object.into())
}

/// Describes an object under a name: its members, each with what it means, and the other objects
/// that it is made of. `with` takes over the members of another one.
macro_rules! shape {
    (
        $(#[doc = $doc:literal])+
        $shape:ident = $name:literal $(with $base:ident)? $(of $($part:ident),+)? {
            $($($optional:ident)? $member:literal: $schema:expr, $what:literal;)*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $shape;

        impl $shape {
            /// Its members.
            pub(crate) fn members() -> Vec<$crate::schema::Member> {
                let mut members = Vec::new();
                $(members.extend($base::members());)?
                $(
                    let required = stringify!($($optional)?).is_empty();
                    members.push($crate::schema::Member::new($member, $schema, required, $what));
                )*
                members
            }
        }

        impl utoipa::PartialSchema for $shape {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::schema::object(concat!($($doc),+), $shape::members())
            }
        }

        impl utoipa::ToSchema for $shape {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed($name)
            }

            fn schemas(
                schemas: &mut Vec<(
                    String,
                    utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>,
                )>,
            ) {
                $(<$base as utoipa::ToSchema>::schemas(schemas);)?
                $($(
                    schemas.push((
                        <$part as utoipa::ToSchema>::name().into_owned(),
                        <$part as utoipa::PartialSchema>::schema(),
                    ));
                    <$part as utoipa::ToSchema>::schemas(schemas);
                )+)?
                let _ = schemas;
            }
        }
    };
}
pub(crate) use shape;

/// One of the words of an enumeration.
macro_rules! word {
    ($words:ident) => {
        $crate::schema::one_of($words::ALL.iter().map(|word| word.as_str()))
    };
}
pub(crate) use word;

/// One of these words.
pub fn one_of(words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    RefOr::T(text.enum_values(Some(words)).into())
}

/// Another shape.
pub fn part<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// A text.
pub fn text() -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).into())
}

/// A text or null.
pub fn text_or_null() -> RefOr<Schema> {
    let types = utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]);
    RefOr::T(ObjectBuilder::new().schema_type(types).into())
}

/// A name: a short text on one line.
pub fn name() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    RefOr::T(text.max_length(Some(NAME_BYTES)).into())
}

/// The id of a run.
pub fn run() -> RefOr<Schema> {
    formatted(KnownFormat::Uuid)
}

/// A time in RFC 3339.
pub fn time() -> RefOr<Schema> {
    formatted(KnownFormat::DateTime)
}

fn formatted(format: KnownFormat) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    RefOr::T(text.format(Some(SchemaFormat::KnownFormat(format))).into())
}

/// A whole number that is not negative.
pub fn count() -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    let number = ObjectBuilder::new().schema_type(Type::Integer).format(Some(format));
    RefOr::T(number.minimum(Some(0)).into())
}

/// Yes or no.
pub fn flag() -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::Boolean).into())
}

/// A text, a whole number or a flag.
pub fn scalar() -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    RefOr::T(OneOfBuilder::new().item(text()).item(number).item(flag()).into())
}

/// Many of one kind.
pub fn list(of: RefOr<Schema>) -> RefOr<Schema> {
    RefOr::T(ArrayBuilder::new().items(of).into())
}

/// Two counts.
pub fn pair() -> RefOr<Schema> {
    let pair = ArrayBuilder::new().items(count()).min_items(Some(2)).max_items(Some(2));
    RefOr::T(pair.into())
}

/// Values of one kind by name.
pub fn map(of: RefOr<Schema>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    RefOr::T(object.additional_properties(Some(of)).into())
}
