use std::fs;

use super::{done, lmic_eval, project};

#[test]
fn an_interrupted_run_goes_on_and_ends_with_the_same_bytes() {
    let project = project();
    let folder = project.path();
    let (_, said) = done(folder, &["run", "--jobs", "2"]);
    assert!(
        said.contains("context: 4 measured, 0 known") && said.contains("rates: 4 measured"),
        "{said}"
    );
    let path = folder.join("records/eval/rates.csv");
    let bytes = |text: &str| -> Vec<String> {
        // Key and coded bytes: seconds differ.
        let rows = csv::Reader::from_reader(text.as_bytes()).into_records().map(Result::unwrap);
        rows.map(|row| format!("{} {} {}", &row[0], &row[9], &row[10])).collect()
    };
    let whole = fs::read_to_string(&path).unwrap();
    let (_, said) = done(folder, &["run", "rates"]);
    assert!(said.contains("0 measured, 4 known"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    // Two cells and a part of the third.
    let end = whole.match_indices('\n').nth(2).unwrap().0;
    fs::write(&path, &whole[..end + 30]).unwrap();
    let (_, said) = done(folder, &["run", "rates"]);
    assert!(said.contains("2 measured, 2 known"), "{said}");
    assert_eq!(bytes(&fs::read_to_string(&path).unwrap()), bytes(&whole));
}

#[test]
fn documents_and_json_are_made_from_records() {
    let project = project();
    let folder = project.path();
    done(folder, &["run"]);
    done(folder, &["report", "--markdown", "README.md"]);
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(
        text.starts_with("# x\n<!-- eval: rates -->\n") && text.ends_with("<!-- end -->\nafter\n")
    );
    // Noise takes its own size and gzip's 18 bytes of header, at least: 2066 / 2048 = 100.88 %.
    assert!(
        text.contains("| gzip | ") && text.contains("(48.1)") && text.contains("| 101."),
        "{text}"
    );
    done(folder, &["report", "--markdown", "README.md"]);
    assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap(), text);
    let (json, _) = done(folder, &["report", "--json", "-"]);
    let sections: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(sections[0]["name"], "context");
    assert_eq!(sections[0]["figures"][0]["series"][1]["points"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_missing_is_said() {
    let project = project();
    let folder = project.path();
    for (arguments, expected) in [
        (&["run", "nothing"][..], "no such experiment"),
        (&["report"], "lmic eval run"),
        (&["data", "fetch", "words"], "no download"),
        (&["generate", "--from", "gzap"], "no such codec"),
    ] {
        let output = lmic_eval(folder, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn experiments_of_the_project_are_sound() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sets = lmic_eval::data::catalogue(&root.join("experiments/data")).unwrap();
    for folder in ["experiments", "experiments/quick"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml") {
                let experiment = lmic_eval::experiment::Experiment::read(&path).unwrap();
                let names = experiment.data.iter().chain(&experiment.train);
                names.for_each(|name| {
                    assert!(sets.contains_key(name), "{}: {name}", path.display())
                });
            }
        }
    }
}

#[test]
fn shared_data_are_what_their_descriptions_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("LMIC_DATA").map_or(root.join("../shared/data"), Into::into);
    if !data.is_dir() {
        println!("skipped: no data in {}", data.display());
        return;
    }
    for name in ["enwik8-2m", "patches", "speech-8", "messages"] {
        let sets = lmic_eval::data::catalogue(&root.join("experiments/data")).unwrap();
        let loaded = sets[name].load(&data, lmic_eval::data::Cut::Chunk(2048), 100_000).unwrap();
        assert!(loaded.raw_bytes() > 30_000, "{name}: {}", loaded.raw_bytes());
    }
}
