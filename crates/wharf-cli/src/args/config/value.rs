//! A value in TOML, and the same as the text that its flag takes.

use toml::de::DeValue;

/// What kind of TOML value a key takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A whole number.
    Number,
    /// A number of seconds.
    Seconds,
    /// A number of bytes; text, if it has a unit.
    Bytes,
    /// A number; text, if it is two.
    Rate,
    /// True or false, which flags call on and off.
    Switch,
    /// Text.
    Text,
}

impl Kind {
    /// By what the help calls the value of a flag; `None` if that name is not known.
    pub(super) fn of(value_name: &str) -> Option<Self> {
        Some(match value_name {
            "N" => Self::Number,
            "SECS" => Self::Seconds,
            "BYTES" => Self::Bytes,
            "N[:BURST]" => Self::Rate,
            "SWITCH" => Self::Switch,
            "ADDR" | "BACKEND" | "CHOICE" | "FILE" | "FRAMING" | "LEVEL" | "MODE" | "NAME"
            | "NETWORK" | "SOURCE" | "POLICY" | "REDACTION" | "TEXT" => Self::Text,
            _ => return None,
        })
    }

    /// What such a key takes, for people.
    pub(super) const fn expects(self) -> &'static str {
        match self {
            Self::Number => "a whole number without quotes, such as 4",
            Self::Seconds => "seconds as a number without quotes, such as 2 or 0.5",
            Self::Bytes => "a number of bytes, or text with a unit, such as \"64KiB\"",
            Self::Rate => "a whole number, or text with a burst, such as \"100:200\"",
            Self::Switch => "true or false, without quotes",
            Self::Text => "text in quotes",
        }
    }

    /// The text of a value, as the flag takes it; `None` if the value is of another type. Its range is
    /// not looked at.
    pub(super) fn text(self, value: &DeValue<'_>, takes_off: bool) -> Option<String> {
        match (self, value) {
            (Self::Switch, DeValue::Boolean(on)) => Some(if *on { "on" } else { "off" }.to_owned()),
            (Self::Switch, _) => None,
            (Self::Text, DeValue::String(text)) => Some(text.as_ref().to_owned()),
            (Self::Text, _) => None,
            (_, DeValue::String(text)) if text == "off" && takes_off => Some("off".to_owned()),
            (Self::Bytes | Self::Rate, DeValue::String(text)) => Some(text.as_ref().to_owned()),
            (_, DeValue::Integer(number)) => {
                // What is too long for 128 bits is out of every range, and refused as it is.
                let decimal = i128::from_str_radix(number.as_str(), number.radix());
                Some(decimal.map_or_else(|_| number.to_string(), |decimal| decimal.to_string()))
            }
            (Self::Seconds, DeValue::Float(number)) => Some(number.as_str().to_owned()),
            _ => None,
        }
    }

    /// The TOML of a text that the flag has taken.
    pub(super) fn toml(self, text: &str) -> String {
        let number = text.parse::<u64>().map(|number| number.to_string());
        match self {
            Self::Switch => (text == "on").to_string(),
            Self::Text => quoted(text),
            Self::Number | Self::Bytes | Self::Rate => number.unwrap_or_else(|_| quoted(text)),
            Self::Seconds => number.unwrap_or_else(|_| {
                // In the shortest way that gives the same again; not every such text is TOML.
                text.parse::<f64>().map_or_else(|_| quoted(text), |seconds| format!("{seconds:?}"))
            }),
        }
    }
}

/// Text as TOML has it, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What people call a value that is of the wrong type.
pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
