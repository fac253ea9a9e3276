//! The description of the endpoint, and that its answers are as it says.

use std::io::Read;

use serde_json::Value;
use wharf::capture::CaptureOptions;

use crate::support::{Answer, Fixture, frame};

/// The schema of an answer in JSON: of a method of a path, with a status.
fn schema<'a>(description: &'a Value, path: &str, method: &str, status: u16) -> &'a Value {
    let response = &description["paths"][path][method]["responses"][status.to_string()];
    let schema = &response["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} is not described with {status}");
    schema
}

#[track_caller]
fn check(description: &Value, path: &str, method: &str, answer: &Answer) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let schema = schema(description, path, method, answer.status.unwrap());
    let problem = problem(description, schema, &body);
    assert_eq!(problem, None, "{method} {path}: {body}");
}

/// What is wrong with a value by a schema, if anything is. It knows the words that the description uses, and is
/// stopped by any other, so that none is taken for one that allows everything.
fn problem(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let wrong = |word: &str| Some(format!("{value} is not as {word} has it: {schema}"));
    schema.as_object().unwrap().iter().find_map(|(word, says)| {
        let is_right = match &**word {
            "description" | "default" | "example" | "examples" => true,
            "$ref" => {
                let at = says.as_str().unwrap().strip_prefix('#').unwrap();
                return problem(root, root.pointer(at).unwrap(), value);
            }
            "type" => is_of_type(says.as_str().unwrap(), value),
            "const" => says == value,
            "enum" => says.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|it| Some(it) >= says.as_f64()),
            "maximum" => value.as_f64().is_none_or(|it| Some(it) <= says.as_f64()),
            "minItems" => {
                value.as_array().is_none_or(|it| it.len() as u64 >= says.as_u64().unwrap())
            }
            "maxItems" => {
                value.as_array().is_none_or(|it| it.len() as u64 <= says.as_u64().unwrap())
            }
            "pattern" => {
                assert_eq!(says, ID);
                let is_id = |text: &str| text.parse().is_ok_and(|id: u64| id.to_string() == text);
                value.as_str().is_none_or(is_id)
            }
            "items" => {
                return value.as_array()?.iter().find_map(|it| problem(root, says, it));
            }
            "oneOf" => {
                let schemas = says.as_array().unwrap().iter();
                schemas.filter(|schema| problem(root, schema, value).is_none()).count() == 1
            }
            "required" => {
                let has = |key: &Value| value.get(key.as_str().unwrap()).is_some();
                !value.is_object() || says.as_array().unwrap().iter().all(has)
            }
            "additionalProperties" => {
                assert_eq!(says, false);
                let known = &schema["properties"];
                value.as_object().is_none_or(|it| it.keys().all(|key| known.get(key).is_some()))
            }
            "properties" => {
                let known = says.as_object().unwrap().iter();
                let pairs = known.filter_map(|(key, schema)| Some((schema, value.get(key)?)));
                return pairs.into_iter().find_map(|(schema, it)| problem(root, schema, it));
            }
            _ => panic!("'{word}' is not known here"),
        };
        if is_right { None } else { wrong(word) }
    })
}

/// The only pattern that there is.
const ID: &str = "^(0|[1-9][0-9]{0,19})$";

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => panic!("'{name}' is no type"),
    }
}

#[test]
fn what_is_answered_is_as_it_is_described() {
    let fixture = Fixture::start(|options| options.worker_patience = crate::support::PATIENCE / 15);
    let description = fixture.json("/api/v1/openapi.json");
    let mut session = fixture.session();
    frame(&mut session, b"join");
    session.read_exact(&mut [0; 8]).unwrap();
    let look = |path: &str| check(&description, path, "get", &fixture.get(path));
    for path in ["server", "workers", "ledger", "sessions", "openapi.json"] {
        look(&format!("/api/v1/{path}"));
    }
    let edits = [
        ("/api/v1/limits", "{\"frame_rate\":{\"per_second\":9000,\"burst\":9000}}"),
        ("/api/v1/limits", "{\"per_address_max\":null}"),
        ("/api/v1/bans", "{\"network\":\"192.0.2.7\"}"),
        ("/api/v1/bans", "{\"network\":\"192.0.2.8\",\"seconds\":600}"),
        ("/api/v1/bans/lift", "{\"network\":\"192.0.2.9\"}"),
    ];
    for (path, body) in edits {
        check(&description, path, "post", &fixture.post_body(path, body));
    }
    look("/api/v1/limits");
    look("/api/v1/bans");
    // With a next page, and without one.
    check(&description, "/api/v1/sessions", "get", &fixture.get("/api/v1/sessions?limit=1"));
    let page = fixture.json("/api/v1/sessions?limit=1");
    let id = page["sessions"][0]["id"].as_str().unwrap();
    let of_session = "/api/v1/sessions/{id}";
    let path = format!("/api/v1/sessions/{id}");
    check(&description, of_session, "get", &fixture.get(&path));
    for path in ["/api/v1/accepting/pause", "/api/v1/accepting/resume"] {
        check(&description, path, "post", &fixture.post(path));
    }
    // A worker that is held up has no report, and stands in the list of the silent.
    frame(&mut session, b"wait");
    fixture.waits.recv().unwrap();
    for path in ["workers", "ledger", "sessions"] {
        look(&format!("/api/v1/{path}"));
    }
    fixture.go_on.send(()).unwrap();
    session.read_exact(&mut [0; 8]).unwrap();
    check(
        &description,
        "/api/v1/sessions/{id}/kick",
        "post",
        &fixture.post(&format!("{path}/kick")),
    );
    check(&description, "/api/v1/drain", "post", &fixture.post("/api/v1/drain"));
}

#[test]
fn what_is_said_of_captures_is_as_it_is_described() {
    let fixture = Fixture::start_capturing(CaptureOptions::default());
    let description = fixture.json("/api/v1/openapi.json");
    let _session = fixture.session();
    let page = fixture.json("/api/v1/sessions");
    let id = page["sessions"][0]["id"].as_str().unwrap();
    let (path, of_session) =
        (format!("/api/v1/sessions/{id}/capture"), "/api/v1/sessions/{id}/capture");
    check(&description, of_session, "post", &fixture.post(&path));
    let file = &description["paths"][of_session]["get"]["responses"]["200"];
    let kinds = file["content"].as_object().unwrap();
    let answer = fixture.get(&path);
    for kind in kinds.keys() {
        assert!(answer.head.contains(&format!("content-type: {kind}\r\n")), "{}", answer.head);
    }
    for header in file["headers"].as_object().unwrap().keys() {
        let header = header.to_lowercase();
        assert!(answer.head.contains(&format!("\r\n{header}: ")), "{}", answer.head);
    }
}

#[test]
fn every_example_is_as_it_is_described() {
    let fixture = Fixture::start(|_| ());
    let description = fixture.json("/api/v1/openapi.json");
    let mut examples = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let example = &response["content"]["application/json"]["example"];
                if example.is_null() {
                    continue;
                }
                let schema = schema(&description, path, method, status.parse().unwrap());
                let problem = problem(&description, schema, example);
                assert_eq!(problem, None, "{method} {path} {status}");
                examples += 1;
            }
        }
    }
    assert!(examples >= 8, "{examples}");
}

#[test]
fn what_is_not_as_described_is_noticed() {
    let fixture = Fixture::start(|_| ());
    let _session = fixture.session();
    let description = fixture.json("/api/v1/openapi.json");
    let schema = schema(&description, "/api/v1/sessions", "get", 200);
    let page = fixture.json("/api/v1/sessions");
    let noticed = |change: &dyn Fn(&mut Value)| {
        let mut page = page.clone();
        change(&mut page);
        problem(&description, schema, &page).is_some()
    };
    assert!(!noticed(&|_| ()));
    assert!(noticed(&|page| page["more"] = true.into()));
    assert!(noticed(&|page| drop(page.as_object_mut().unwrap().remove("next"))));
    assert!(noticed(&|page| page["next"] = "01".into()));
    assert!(noticed(&|page| page["sessions"][0]["id"] = 1.into()));
    assert!(noticed(&|page| page["sessions"][0]["age_seconds"] = (-1).into()));
    assert!(noticed(&|page| page["sessions"][0]["sent_bytes"] = 1.5.into()));
}
