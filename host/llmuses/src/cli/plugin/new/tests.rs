use super::*;
use std::collections::BTreeSet;

const TEMPLATES: [Template; 8] = [
    Template::Rust(Kind::Api),
    Template::Rust(Kind::Dataset),
    Template::Python(None),
    Template::Python(Some(Kind::Api)),
    Template::Python(Some(Kind::Dataset)),
    Template::Js(None),
    Template::Js(Some(Kind::Api)),
    Template::Js(Some(Kind::Dataset)),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn make(into: &Path, template: Template, name: &str) -> Result<PathBuf, NewError> {
    let (lang, kind) = match template {
        Template::Rust(kind) => (Language::Rust, Some(kind)),
        Template::Python(kind) => (Language::Python, kind),
        Template::Js(kind) => (Language::Js, kind),
    };
    execute(&NewArguments {
        lang,
        kind: match kind {
            Some(Kind::Api) => Wanted::Api,
            Some(Kind::Dataset) => Wanted::Dataset,
            None => Wanted::Both,
        },
        name: name.to_owned(),
        into: into.to_owned(),
    })
}

/// All files under a folder, as paths with slashes, but for what builds and editors leave.
fn files_under(folder: &Path) -> BTreeSet<String> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if ["target", "__pycache__", "node_modules", ".venv"].contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(folder, "", &mut found);
    found
}

#[test]
fn a_folder_has_every_file_with_the_name_in_its_places() {
    let home = tempfile::tempdir().unwrap();
    for (template, name) in TEMPLATES.into_iter().zip([
        "asks_api",
        "asks_dataset",
        "asks_python",
        "asks_python_api",
        "asks_python_dataset",
        "asks_js",
        "asks_js_api",
        "asks_js_dataset",
    ]) {
        let folder = make(home.path(), template, name).unwrap();
        assert_eq!(folder, home.path().join(name));
        let files = files_under(&folder);
        assert_eq!(files.len(), template.files().count());
        let contract = match template {
            Template::Rust(_) => "wit/0.2/perf-plugin.wit",
            Template::Python(_) | Template::Js(_) => "wit/perf-plugin.wit",
        };
        for file in ["README.md", "questions.jsonl", contract] {
            assert!(files.contains(file), "{file}");
        }
        for file in files {
            let text = fs::read_to_string(folder.join(&file)).unwrap();
            assert!(!file.contains(PLACEHOLDER), "{file}");
            assert!(!text.contains(PLACEHOLDER), "{file}");
            assert!(!text.contains(TYPE_PLACEHOLDER), "{file}");
        }
    }
    let lib = |name: &str| fs::read_to_string(home.path().join(name).join("src/lib.rs")).unwrap();
    assert!(lib("asks_api").contains("export_api!(AsksApi);"));
    assert!(lib("asks_dataset").contains("export_format!(AsksDataset);"));
    let read = |path: &str| fs::read_to_string(home.path().join(path)).unwrap();
    let python = read("asks_python_dataset/asks_python_dataset.py");
    assert!(
        python.contains("class AsksPythonDataset(Format):"),
        "{python}"
    );
    let js = read("asks_js_api/asks_js_api.js");
    assert!(js.contains("class AsksJsApi extends Api"), "{js}");
    for (folder, version) in [("asks_js", "@0.1.0;"), ("asks_js_api", "@0.2.0;")] {
        assert!(read(&format!("{folder}/wit/perf-plugin.wit")).contains(version));
    }
}

#[test]
fn the_lists_have_every_file_of_the_templates_and_of_the_kit() {
    let templates = repository().join("plugins/templates");
    let folders = ["api/", "dataset/"];
    for (template, name, own) in [
        (Template::Rust(Kind::Api), "rust", None),
        (Template::Rust(Kind::Api), "rust", Some("api/")),
        (Template::Rust(Kind::Dataset), "rust", Some("dataset/")),
        (Template::Python(None), "python", None),
        (Template::Python(Some(Kind::Api)), "python", Some("api/")),
        (
            Template::Python(Some(Kind::Dataset)),
            "python",
            Some("dataset/"),
        ),
        (Template::Js(None), "js", None),
        (Template::Js(Some(Kind::Api)), "js", Some("api/")),
        (Template::Js(Some(Kind::Dataset)), "js", Some("dataset/")),
    ] {
        let listed: BTreeSet<&str> = template.files().map(|file| file.path).collect();
        for file in files_under(&templates.join(name)) {
            let folder = folders.into_iter().find(|folder| file.starts_with(folder));
            let path = file.strip_prefix(own.unwrap_or_default()).unwrap_or(&file);
            assert!(
                folder != own || listed.contains(path),
                "{name}/{file} is not embedded"
            );
        }
    }
    let listed: BTreeSet<&str> = Template::Rust(Kind::Api)
        .files()
        .map(|file| file.path)
        .collect();
    for file in files_under(&repository().join("plugins/sdk/src")) {
        let path = format!("vendor/llmuses-plugin/src/{file}");
        assert!(listed.contains(path.as_str()), "{file} is not embedded");
    }
}

#[test]
fn the_copy_of_the_kit_has_the_dependencies_of_the_kit() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    let dependencies = |text: &str, section: &str| -> BTreeSet<String> {
        text.split_once(section)
            .map(|(_, rest)| rest.split("\n[").next().unwrap_or(rest).to_owned())
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let version = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .and_then(|line| line.split('"').nth(1))
            .map(str::to_owned)
    };
    let copy = read("plugins/templates/rust/vendor/llmuses-plugin/Cargo.toml");
    let workspace = read("Cargo.toml");
    let names = dependencies(&copy, "[dependencies]");
    assert_eq!(
        names,
        dependencies(&read("plugins/sdk/Cargo.toml"), "[dependencies]")
    );
    for name in names {
        let wanted = version(&workspace, &name);
        assert!(wanted.is_some(), "{name}");
        assert_eq!(version(&copy, &name), wanted, "{name}");
    }
}

#[test]
fn what_to_type_next_is_two_commands() {
    for template in TEMPLATES {
        assert_eq!(
            commands(template, "asks").lines().count(),
            2,
            "{template:?}"
        );
    }
    assert_eq!(
        next_steps(Path::new("x/asks"), Template::Js(None), "asks"),
        "made x/asks; next, as its README.md says:\n\n    cd x/asks\n    npm install\n    npm run build\n"
    );
}

#[test]
fn names_that_are_none_are_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let long = "a".repeat(LONGEST_NAME + 1);
    for (name, reason) in [
        ("", "empty"),
        (long.as_str(), "longer"),
        ("7up", "begin"),
        ("_a", "begin"),
        ("Asks", "begin"),
        ("asks-twice", "`-`"),
        ("asks/../twice", "`/`"),
        ("asks.py", "`.`"),
        ("frage_ü", "\\u{fc}"),
        ("a\u{1b}[2J", "\\u{1b}"),
        ("match", "means something else"),
        ("json", "means something else"),
    ] {
        let error = make(home.path(), Template::Rust(Kind::Api), name).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, NewError::Name { .. }), "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
    assert!(files_under(home.path()).is_empty());
    assert!(check_name("asks_2_b").is_ok());
}

#[test]
fn what_is_there_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("asks"), "mine").unwrap();
    let error = make(home.path(), Template::Python(None), "asks").unwrap_err();
    assert!(matches!(error, NewError::Exists(_)), "{error}");
    let kept = fs::read_to_string(home.path().join("asks")).unwrap();
    assert_eq!(kept, "mine");
}

#[test]
fn a_place_that_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    let error = make(&home.path().join("nowhere"), Template::Js(None), "asks").unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}
