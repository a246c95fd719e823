//! Fields by what is declared of them: their types, bounds, words and defaults stand in `core::schema` alone.

use alertcast_core::admin::AdminStatus;
use alertcast_core::alert_configuration::{ConfigStatus, RequiredField};
use alertcast_core::market::{Signal, Symbol, Timeframe};
use alertcast_core::money::{Amount, Count, Price};
use alertcast_core::plan::PlanStatus;
use alertcast_core::schema::{AMOUNT, FieldDeclaration, FieldDefault, FieldKind, FieldPresence, PRICE, level};
use alertcast_core::subscription::{PaymentMethod, PaymentStatus, SubscriptionStatus};
use alertcast_core::time::Time;
use alertcast_core::user::{RiskLevel, UserStatus};
use serde_json::Value;

use super::fields::{FieldResult, InputFields};
use super::values;

/// A type that a declared field is read as.
pub(crate) trait InputValue: Sized {
    /// Reads a value of a kind; of one that the type does not hold, nothing.
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self>;
}

/// A type that a declared field has a default of.
pub(crate) trait DefaultedValue: InputValue {
    /// The declared default as the type has it; none where it is of another type.
    fn of_default(default: FieldDefault) -> Option<Self>;
}

/// What is declared of a field is another type than it is read as: a defect, which a test finds.
const MISDECLARED: &str = "is declared as another type";

fn misdeclared<T>() -> FieldResult<T> {
    Err(MISDECLARED.to_owned())
}

impl InputValue for bool {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == FieldKind::Flag { values::flag(value) } else { misdeclared() }
    }
}

impl DefaultedValue for bool {
    fn of_default(default: FieldDefault) -> Option<Self> {
        if let FieldDefault::Flag(flag) = default { Some(flag) } else { None }
    }
}

impl InputValue for Count {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if let FieldKind::Whole { min, max } = kind { values::whole(min, max)(value) } else { misdeclared() }
    }
}

impl DefaultedValue for Count {
    fn of_default(default: FieldDefault) -> Option<Self> {
        if let FieldDefault::Whole(number) = default { Some(Self(number)) } else { None }
    }
}

impl InputValue for Amount {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == AMOUNT { values::amount(value) } else { misdeclared() }
    }
}

impl DefaultedValue for Amount {
    fn of_default(default: FieldDefault) -> Option<Self> {
        match default {
            FieldDefault::Number(number) => Self::from_f64(number).ok(),
            FieldDefault::Whole(number) => Self::new(number.into()).ok(),
            _ => None,
        }
    }
}

impl InputValue for Price {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == PRICE { values::price(value) } else { misdeclared() }
    }
}

impl InputValue for Time {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == FieldKind::Date { values::time(value) } else { misdeclared() }
    }
}

impl InputValue for Symbol {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == FieldKind::Symbol { values::symbol(value) } else { misdeclared() }
    }
}

/// TradingView's spellings are taken too.
impl InputValue for Timeframe {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        if kind == FieldKind::Word(Self::WORDS) { values::timeframe(value) } else { misdeclared() }
    }
}

impl InputValue for String {
    fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
        match kind {
            FieldKind::Text => values::text(value),
            FieldKind::LowercaseText => values::text(value).map(|text| text.to_lowercase()),
            FieldKind::NumberName => values::number_name(value),
            FieldKind::Email => values::email(value),
            FieldKind::Currency => values::currency(value),
            FieldKind::TimeZone => values::zone(value),
            _ => misdeclared(),
        }
    }
}

impl DefaultedValue for String {
    fn of_default(default: FieldDefault) -> Option<Self> {
        if let FieldDefault::Text(text) = default { Some(text.to_owned()) } else { None }
    }
}

macro_rules! input_words {
    ($($word:ty),+ $(,)?) => {$(
        impl InputValue for $word {
            fn read(kind: FieldKind, value: &Value) -> FieldResult<Self> {
                let FieldKind::Word(words) = kind else { return misdeclared() };
                values::one_of(words, value).and_then(|text| Self::from_exact(text).map_or_else(misdeclared, Ok))
            }
        }

        impl DefaultedValue for $word {
            fn of_default(default: FieldDefault) -> Option<Self> {
                if let FieldDefault::Text(text) = default { Self::from_exact(text) } else { None }
            }
        }
    )+};
}
input_words! {
    AdminStatus, ConfigStatus, PaymentMethod, PaymentStatus, PlanStatus, RequiredField, RiskLevel, Signal,
    SubscriptionStatus, UserStatus,
}

impl InputFields<'_> {
    /// A declared field that may be absent.
    pub(crate) fn get_optional<T: InputValue>(&mut self, name: &'static str) -> Option<T> {
        let declared = self.declaration(name);
        self.optional(name, |value| read_declared(declared, value))
    }

    /// A declared field that must be there.
    pub(crate) fn get_required<T: InputValue>(&mut self, name: &'static str) -> Option<T> {
        let declared = self.declaration(name);
        self.read_required(name, |value| read_declared(declared, value))
    }

    /// A declared field, with its declared default where it is absent or wrong; none where no such default is declared,
    /// which is noted.
    pub(crate) fn get_or_default<T: DefaultedValue>(&mut self, name: &'static str) -> Option<T> {
        self.get_optional(name).or_else(|| self.default_of(name))
    }

    /// A field's declared default.
    pub(crate) fn default_of<T: DefaultedValue>(&self, name: &'static str) -> Option<T> {
        let default = self.declaration(name).and_then(|field| match field.presence {
            FieldPresence::Defaulted(default) => T::of_default(default),
            _ => None,
        });
        if default.is_none() {
            self.wrong(name, MISDECLARED);
        }
        default
    }

    /// A declared list; an absent one is empty.
    pub(crate) fn get_list<T: InputValue>(&mut self, name: &'static str) -> Vec<T> {
        let kind = match self.declaration(name).map(|field| field.kind) {
            Some(FieldKind::List(kind)) => Some(*kind),
            _ => None,
        };
        self.list(name, |value| kind.map_or_else(misdeclared, |kind| T::read(kind, value)))
    }

    fn declaration(&self, name: &str) -> Option<&'static FieldDeclaration> {
        level(self.declared()).map(|(field, _)| field).find(|field| field.name() == name)
    }
}

fn read_declared<T: InputValue>(declared: Option<&FieldDeclaration>, value: &Value) -> FieldResult<T> {
    declared.map_or_else(misdeclared, |field| T::read(field.kind, value))
}

#[cfg(test)]
mod tests;
