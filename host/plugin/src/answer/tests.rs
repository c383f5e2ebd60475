use super::*;
use llmuses_core::clock::Moment;

fn error(data: &str) -> Option<String> {
    server_error(data.as_bytes(), Suspicion::Strong)
}

#[test]
fn an_empty_error_says_nothing() {
    for nothing in [
        "null",
        "false",
        "\"\"",
        "{}",
        "{ }",
        "[]",
        "0",
        r#"{"message":null,"code":0}"#,
    ] {
        assert_eq!(
            error(&format!(r#"{{"error":{nothing},"choices":[]}}"#)),
            None,
            "{nothing}"
        );
    }
    for something in ["true", "500", "\"no\"", "{\"a\":1}", "[1]"] {
        assert!(
            error(&format!(r#"{{"error":{something}}}"#)).is_some(),
            "{something}"
        );
    }
}

#[test]
fn an_error_is_told_with_its_code_however_it_is_written() {
    for (data, told) in [
        (
            r#"{"error":{"message":"busy","type":"overloaded","code":503}}"#,
            "busy (overloaded, 503)",
        ),
        (
            r#"{"error":"too long","error_type":"validation"}"#,
            "too long (validation)",
        ),
        (r#"{"errors":[{"status":500}]}"#, r#"[{"status":500}]"#),
        (
            r#"{"choices":[{"delta":{}}],"x_groq":{"id":"r","error":"over_capacity"}}"#,
            "over_capacity",
        ),
        (
            r#"{"object":"error","message":"no model","code":404}"#,
            "no model (404)",
        ),
        (
            r#"{"type":"error","code":"server_error","message":"m"}"#,
            "m (server_error)",
        ),
        (
            r#"{"code":401,"msg":"expired","success":false}"#,
            "expired (401)",
        ),
        (
            r#"{"code":"Throttling","message":"slow"}"#,
            "slow (Throttling)",
        ),
        (r#"{"code":500}"#, r#"{"code":500}"#),
        (r#"{"detail":"Not authenticated"}"#, "Not authenticated"),
        (
            r#"{"detail":[{"msg":"field required"}]}"#,
            r#"[{"msg":"field required"}]"#,
        ),
        (
            r#"{"base_resp":{"status_code":1004,"status_msg":"login"}}"#,
            "login (1004)",
        ),
        (r#"[{"error":{"code":400,"message":"bad"}}]"#, "bad (400)"),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            "the answer ended with finish_reason `error`",
        ),
        (
            r#"{"output":{"text":"a","finish_reason":"abort"}}"#,
            "the answer ended with finish_reason `abort`",
        ),
        (
            r#"{"choices":[{"error":{"code":502,"message":"bad gateway"}}]}"#,
            "bad gateway (502)",
        ),
        (r#"{"message":"no Route matched"}"#, "no Route matched"),
    ] {
        let expected = format!("the server reported an error in its response: {told}");
        assert_eq!(error(data), Some(expected), "{data}");
    }
}

#[test]
fn whatever_is_an_error_beside_output_is_looked_at() {
    for data in [
        r#"{"error":{"message":"busy"}}"#,
        r#"{"\u0065rror":"busy"}"#,
        r#"{"errors":["busy"]}"#,
        r#"{"object":"error","message":"no model"}"#,
        r#"{"type":"error","message":"m"}"#,
        r#"{"code":500}"#,
        r#"{"error_code":500}"#,
        r#"{"err_code":"x"}"#,
        r#"{"errcode":"x"}"#,
        r#"{"status_code":500}"#,
        r#"{"statusCode":500}"#,
        r#"{"detail":"Not authenticated"}"#,
        r#"{"success":false}"#,
        r#"{"status":"error","message":"m"}"#,
        r#"{"Error":{"Message":"m"}}"#,
        r#"{"err":"m"}"#,
        r#"{"throttlingException":{"message":"slow"}}"#,
        r#"{"errorMessage":"m"}"#,
        r#"{"status":500,"message":"m"}"#,
        r#"{"fault":{"faultstring":"m"}}"#,
        r#"{"base_resp":{"status_code":1004}}"#,
        r#"{"choices":[{"error":"bad gateway"}]}"#,
    ] {
        assert!(
            server_error(data.as_bytes(), Suspicion::Some).is_some(),
            "{data}"
        );
        assert!(may_report_an_error(data.as_bytes()), "{data}");
    }
    for reason in GIVEN_UP {
        for reason in [reason.to_owned(), reason.to_uppercase()] {
            let data = format!(r#"{{"choices":[{{"finish_reason":"{reason}"}}]}}"#);
            assert!(may_report_an_error(data.as_bytes()), "{data}");
            assert!(
                server_error(data.as_bytes(), Suspicion::Some).is_some(),
                "{data}"
            );
        }
    }
    let good = br#"{"choices":[{"message":{"content":"no error"},"finish_reason":"stop"}]}"#;
    assert!(!may_report_an_error(good));
}

#[test]
fn a_program_that_a_model_writes_is_no_code_of_an_error() {
    for event in [
        &br#"{"type":"response.code_interpreter_call_code.done","code":"print"}"#[..],
        br#"{"errcode":0,"errmsg":"ok"}"#,
        br#"{"error_code":0,"error_msg":"success"}"#,
        br#"{"error_msg":"success"}"#,
    ] {
        assert_eq!(server_error(event, Suspicion::Some), None);
    }
    for error in [
        &br#"{"code":"Throttling","message":"slow"}"#[..],
        br#"{"code":"InternalError"}"#,
        br#"{"error_message":"slow","error_type":"x"}"#,
        br#"{"status":"500","message":"m"}"#,
    ] {
        assert!(server_error(error, Suspicion::Some).is_some());
    }
}

#[test]
fn what_belongs_to_an_answer_is_no_error() {
    for data in [
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}],"code":0,"message":"x"}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1},"code":200}"#,
        r#"{"output":{"text":"a"},"code":"","message":""}"#,
        r#"{"type":"message_start","message":{"role":"assistant"}}"#,
        r#"{"code":200,"msg":""}"#,
        r#"{"code":"0"}"#,
        "[DONE]",
        "7",
    ] {
        assert_eq!(error(data), None, "{data}");
    }
    for note in [
        r#"{"message":"thinking"}"#,
        r#"{"status":"in_progress","message":"thinking"}"#,
    ] {
        assert_eq!(server_error(note.as_bytes(), Suspicion::Some), None);
    }
}

#[test]
fn an_answer_may_be_empty_where_it_ended_well() {
    let ended = |data: &str| {
        let mut log = ResponseLog::default();
        assert!(log.push(data.as_bytes(), Moment::default()));
        ended_well(&log)
    };
    assert!(ended(
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#
    ));
    assert!(ended(r#"{"output":{"finish_reason":"stop"}}"#));
    assert!(ended(
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#
    ));
    for other in [
        r#"{"choices":[]}"#,
        r#"{"choices":[{"finish_reason":null}]}"#,
        r#"{"choices":[{"finish_reason":"length"}]}"#,
        r#"{"stop":"stop"}"#,
        "x",
    ] {
        assert!(!ended(other), "{other}");
    }
}
