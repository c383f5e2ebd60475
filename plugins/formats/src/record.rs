//! What the records of most formats have under one name or another.

use llmuses_plugin::{Conversation, Head, Map, SAMPLING, Value, json};

/// A JSON object, or a row of a table.
pub(crate) type Members = Map<String, Value>;

/// Where a prompt is looked for, in this order.
pub(crate) const PROMPTS: [&str; 11] = [
    "prompt",
    "question",
    "instruction",
    "text",
    "text_input",
    "input_text",
    "input",
    "content",
    "context",
    "conversation",
    "turn",
];

/// Where the most tokens of the answer are looked for.
pub(crate) const OUTPUT_LENGTHS: [&str; 7] = [
    "max_completion_tokens",
    "max_tokens",
    "max_new_tokens",
    "output_tokens",
    "output_length",
    "output_tokens_count",
    "completion_tokens_count",
];

/// Whether the first record of a file is one of which this can be made.
pub(crate) fn begins_with<T>(
    head: &Head<'_>,
    make: impl FnOnce(&mut Members) -> Result<T, String>,
) -> bool {
    match head.first_record() {
        Some(Value::Object(mut members)) => make(&mut members).is_ok(),
        _ => false,
    }
}

/// The prompt of a record: of the field that the user named, or of one of the usual names. What an instruction is about
/// (`input`, as in Alpaca) follows it.
pub(crate) fn prompt_of(members: &mut Members, field: Option<&str>) -> Result<String, String> {
    let name = match field {
        Some(name) => name,
        None => PROMPTS
            .into_iter()
            .find(|name| members.get(*name).is_some_and(|value| !value.is_null()))
            .ok_or_else(|| {
                format!(
                    "no prompt: it has neither \"messages\" nor one of {} (--field names another)",
                    PROMPTS.join(", ")
                )
            })?,
    };
    let mut prompt = match members.remove(name) {
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("\"{name}\" is not a string")),
        None => return Err(format!("no field \"{name}\"")),
    };
    if name == "instruction"
        && let Some(about) = members.get("input").and_then(Value::as_str)
        && !about.is_empty()
    {
        prompt.push_str("\n\n");
        prompt.push_str(about);
    }
    Ok(prompt)
}

/// A whole number, be it text in a table. `None`: there is none under these names.
pub(crate) fn number_of(members: &Members, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| whole(members.get(*name)?))
}

fn whole(value: &Value) -> Option<u64> {
    let exact = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64(),
    };
    // Some tools write 12.0.
    exact.or_else(|| {
        let number = number(value)?;
        (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as u64)
    })
}

/// A number, be it text in a table.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
}

/// The most tokens of the answer, where the record says so. Some write -1 for as many as the model likes.
fn output_length(members: &Members) -> Result<Option<u64>, String> {
    let mut given = OUTPUT_LENGTHS
        .iter()
        .filter_map(|name| Some((*name, members.get(*name)?)));
    let is_given = |value: &Value| !value.is_null() && number(value) != Some(-1.0);
    let Some((name, value)) = given.find(|(_, value)| is_given(value)) else {
        return Ok(None);
    };
    match whole(value) {
        Some(tokens) => Ok(Some(tokens)),
        None => Err(format!("\"{name}\" is not a number of tokens")),
    }
}

/// The length of the answer, the system message, tools and parameters, as far as the record has them.
///
/// # Errors
/// Where the length is no number of tokens.
pub(crate) fn with_the_rest(
    mut conversation: Conversation,
    members: &mut Members,
) -> Result<Conversation, String> {
    if let Some(tokens) = output_length(members)? {
        conversation = conversation.output_tokens(tokens);
    }
    for (name, others) in [
        ("system", &["system", "system_prompt", "prefix"][..]),
        ("tools", &["tools", "tool_definitions", "functions"]),
    ] {
        let is_one = |value: &Value| match name {
            "system" => value.as_str().is_some_and(|text| !text.is_empty()),
            _ => value.as_array().is_some_and(|tools| !tools.is_empty()),
        };
        let found = others
            .iter()
            .filter_map(|name| members.remove(*name))
            .find(is_one);
        match found {
            Some(Value::Array(tools)) => {
                let tools = tools.into_iter().map(tool).collect();
                conversation = conversation.with(name, Value::Array(tools));
            }
            Some(system) => conversation = conversation.with(name, system),
            None => {}
        }
    }
    let parameters: Members = SAMPLING
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), members.remove(*name)?)))
        .filter(|(_, value)| !value.is_null())
        .collect();
    Ok(conversation.parameters(parameters))
}

/// A tool in OpenAI's form. A function may stand alone, as `functions` has it.
fn tool(tool: Value) -> Value {
    let is_function = tool["name"].is_string() && tool["parameters"].is_object();
    match is_function && tool.get("type").is_none() {
        true => json!({"type": "function", "function": tool}),
        false => tool,
    }
}

/// The prompts of a record that numbers its turns (`prompt_0`, `prompt_1`), from 0 or 1 on. `None`: it has none.
pub(crate) fn numbered_prompts(members: &Members) -> Option<Vec<String>> {
    let text = |name: &str, number: usize| members.get(&format!("{name}_{number}"))?.as_str();
    let (name, first) = PROMPTS
        .into_iter()
        .flat_map(|name| [(name, 0), (name, 1)])
        .find(|(name, number)| text(name, *number).is_some())?;
    let prompts = (first..).map_while(|number| Some(text(name, number)?.to_owned()));
    Some(prompts.collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use llmuses_plugin::{Conversations, Entries, Format, conversations_of};

    /// The beginning of a file of this content.
    pub(crate) fn head(text: &str) -> Head<'_> {
        let bytes = text.as_bytes();
        Head {
            bytes: &bytes[..bytes.len().min(1 << 20)],
            file_name: "x",
            field: None,
        }
    }

    /// What a format makes of one record.
    pub(crate) fn read<F: Format>(record: &Value) -> Result<Value, String> {
        let mut all = conversations_of::<F>(Entries::from_lines([record.to_string()]));
        let first = all.next_conversation().expect("a record");
        first.map(|conversation| conversation.to_json())
    }

    #[test]
    fn numbers_may_be_text() {
        let members: Value = json!({"a": "12", "b": 12.0, "c": "x", "d": -1, "e": 1.5});
        let members = members.as_object().unwrap();
        let number = |name: &str| number_of(members, &[name]);
        assert_eq!((number("a"), number("b")), (Some(12), Some(12)));
        assert_eq!([number("c"), number("d"), number("e")], [None; 3]);
    }

    #[test]
    fn a_length_is_a_number_of_tokens_or_said() {
        let length = |record: Value| output_length(record.as_object().unwrap());
        for five in [json!(5), json!(5.0), json!("5"), json!("5.0")] {
            assert_eq!(length(json!({"max_tokens": five})), Ok(Some(5)));
        }
        for none in [
            json!({}),
            json!({"max_tokens": null}),
            json!({"max_tokens": -1}),
            json!({"max_tokens": "-1"}),
            json!({"max_tokens": -1.0}),
        ] {
            assert_eq!(length(none), Ok(None));
        }
        for wrong in [json!("x"), json!(1.5), json!(-2), json!(1e30)] {
            let said = "\"max_tokens\" is not a number of tokens".to_owned();
            assert_eq!(length(json!({"max_tokens": wrong})), Err(said));
        }
    }

    #[test]
    fn an_instruction_is_followed_by_what_it_is_about() {
        let prompt = |mut record: Value| prompt_of(record.as_object_mut().unwrap(), None);
        assert_eq!(
            prompt(json!({"instruction": "Sum up.", "input": "Long."})).as_deref(),
            Ok("Sum up.\n\nLong.")
        );
        assert_eq!(
            prompt(json!({"instruction": "Sum up.", "input": ""})).as_deref(),
            Ok("Sum up.")
        );
    }
}
