use std::fs;

use lmic_eval::codec::Commands;

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
    let path = folder.join("records/rates.csv");
    let bytes = |text: &str| -> Vec<String> {
        // Key and coded bytes: seconds differ.
        let rows = csv::Reader::from_reader(text.as_bytes()).into_records().map(Result::unwrap);
        rows.map(|row| format!("{} {} {}", &row[0], &row[10], &row[11])).collect()
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
    let commands = Commands::read(&root.join("experiments/commands.toml")).unwrap();
    for folder in ["experiments", "experiments/quick"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if !lmic_eval::report::is_experiment(&path) {
                continue;
            }
            let experiment = lmic_eval::experiment::Experiment::read(&path).unwrap();
            let of_tables =
                experiment.tables.iter().flat_map(|t| t.data.iter().chain(&t.tail_data));
            for name in experiment.data.iter().chain(&experiment.train).chain(of_tables) {
                assert!(sets.contains_key(name), "{}: {name}", path.display());
            }
            // A name with a space is a command's: it must be in the list.
            let choices = experiment.choose.values().flatten();
            for codec in experiment.codecs.iter().chain(choices) {
                let known = codec.starts_with("cmd:") || !codec.contains(' ');
                assert!(known || commands.find(codec).is_some(), "{}: {codec}", path.display());
            }
        }
    }
}

#[test]
fn documents_of_the_project_say_what_records_say() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    for place in ["experiments", "records", "docs"] {
        std::os::unix::fs::symlink(
            root.join(place).canonicalize().unwrap(),
            folder.path().join(place),
        )
        .unwrap();
    }
    fs::create_dir(folder.path().join("made")).unwrap();
    for name in ["README.md", "docs/results.md", "docs/training.md"] {
        let old = fs::read_to_string(root.join(name)).unwrap();
        let made = folder.path().join("made/document.md");
        fs::write(&made, &old).unwrap();
        done(folder.path(), &["report", "--markdown", "made/document.md"]);
        assert!(fs::read_to_string(&made).unwrap() == old, "{name}: `make tables`");
    }
}

#[test]
fn codecs_are_measured_in_turn_and_files_alone() {
    let project = project();
    let folder = project.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    fs::create_dir_all(folder.join("data/texts")).unwrap();
    write("data/texts/a.txt", &"to be, or not to be. ".repeat(300));
    write("data/texts/b.txt", &"that is the question, ".repeat(200));
    write("data/train.txt", "to be, or not to be. ");
    write(
        "experiments/data/texts.toml",
        "title = \"texts\"\nkind = \"text\"\npath = \"texts\"\nbytes = 4000\ntrain = \"train.txt\"\nlicence = \"-\"\nsource = \"-\"\n",
    );
    write(
        "experiments/commands.toml",
        "[\"logged *\"]\nlearn = \"cp {train} {state}\"\n\
         encode = \"cat {state} > /dev/null; echo * >> $LOG; cat {raw} > {coded}\"\ndecode = \"cat {coded} > {back}\"\n\
         [\"absent\"]\nencode = \"no-such-program-here\"\n",
    );
    write(
        "experiments/turns.toml",
        "title = \"turns\"\nquestion = \"?\"\nkind = \"rates\"\nper = \"file\"\nruns = 2\ndata = [\"texts\"]\nlimit = 16384\n\
         codecs = [\"logged one\", \"logged two\", \"gzip\", \"absent\"]\ndrawing = \"texts\"\n\
         [[tables]]\nname = \"sizes\"\ncorner = \"c\"\nvalues = [\"ratio\"]\ntail = [\"wins\", \"model\"]\nbold = true\n",
    );
    let log = folder.join("log");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lmic-eval"))
        .args(["run", "turns", "--data", "data"])
        .current_dir(folder)
        .env("LOG", &log)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "what is not installed is no failure: {said}");
    assert!(
        said.contains("6 measured") && said.contains("no-such-program-here is not installed"),
        "{said}"
    );
    // A run to warm up and two that count, of both in turn, for each of two files.
    let turns = "one\ntwo\n".repeat(3);
    assert_eq!(fs::read_to_string(&log).unwrap(), turns.repeat(2));
    let mut reader = csv::Reader::from_path(folder.join("records/turns.csv")).unwrap();
    let rows: Vec<lmic_eval::record::Record> = reader.deserialize().map(Result::unwrap).collect();
    let files: Vec<_> = rows.iter().map(|r| (r.codec.as_str(), r.item.as_str())).collect();
    let each = |codec| [(codec, "a"), (codec, "b")];
    assert_eq!(files, ["logged one", "logged two", "gzip"].map(each).concat());
    for r in &rows {
        assert_eq!((r.runs, r.raw_bytes, r.encode_runs.split(' ').count()), (2, 4000, 2));
        assert!(r.encode_cpu_seconds.is_some() && r.decode_cpu_seconds.is_some());
        let is_command = r.codec != "gzip";
        assert_eq!(r.learned_bytes, is_command.then_some(21));
        assert_eq!(r.coded_bytes == 4000, is_command);
    }
    let (_, said) = done(folder, &["run", "turns", "--data", "data"]);
    assert!(said.contains("0 measured, 6 known"), "{said}");
    // Each file counts: gzip is the smallest on both.
    write("README.md", "<!-- eval: turns sizes | codecs = gzip, logged one -->\n<!-- end -->\n");
    done(folder, &["report", "--markdown", "README.md", "--drawings", "."]);
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let coded: u64 = rows.iter().filter(|r| r.codec == "gzip").map(|r| r.coded_bytes).sum();
    let gzip = format!("| gzip | **{:.4}** | 2 | 0 |\n", coded as f64 / 8000.0);
    assert!(text.contains(&gzip) && text.contains("| logged one | 1.0000 | 0 | 21 |"), "{text}");
    assert!(!text.contains("two") && text.contains("medians of 2 runs in turn"), "{text}");
    let svg = fs::read_to_string(folder.join("size-speed.svg")).unwrap();
    assert!(svg.contains(">logged one</text>") && svg.contains("prefers-color-scheme: dark"));
}

#[test]
fn codecs_for_some_data_and_those_that_fail_on_a_file_are_left_out_of_sums() {
    let project = project();
    let folder = project.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    fs::create_dir_all(folder.join("data/texts")).unwrap();
    write("data/texts/a.txt", "to be, or not to be");
    write("data/texts/b.txt", "that is the question");
    write(
        "experiments/data/texts.toml",
        "title = \"texts\"\nkind = \"text\"\npath = \"texts\"\nlicence = \"-\"\nsource = \"-\"\n",
    );
    write(
        "experiments/commands.toml",
        "[\"loses b\"]\nencode = \"grep -v question {raw} > {coded}\"\ndecode = \"head -c 19 {coded} > {back}\"\n\
         [\"special\"]\nprograms = [\"cat\", \"cp\"]\nencode = \"(cat {raw}; echo) > {coded}\"\n\
         decode = \"head -c -1 {coded} > {back}\"\n\
         [\"absent\"]\nprograms = [\"cat\", \"no-such-program-here\"]\nencode = \"cat {raw} > {coded}\"\n",
    );
    write(
        "experiments/special.toml",
        "title = \"special\"\nquestion = \"?\"\nkind = \"rates\"\nper = \"file\"\ndata = [\"texts\", \"words\"]\n\
         limit = 100000\ncodecs = [\"gzip\", \"loses b\", \"special\", \"absent\"]\n\
         only = { special = [\"words\"], \"loses b\" = [\"texts\"] }\n\
         [[tables]]\nname = \"rates\"\ncorner = \"c\"\nrows = [\"data\"]\ncolumns = \"codec\"\nlead = [\"items\"]\n\
         values = [\"coded\"]\n",
    );
    let output = lmic_eval(folder, &["run", "special", "--data", "data"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("failed: loses b on texts"), "{said}");
    assert!(said.contains("no-such-program-here is not installed"), "{said}");
    assert!(said.contains("5 measured"), "{said}");
    write("README.md", "<!-- eval: special rates -->\n<!-- end -->\n");
    done(folder, &["report", "--markdown", "README.md"]);
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let row = |data: &str| {
        let row = text.lines().find(|line| line.starts_with(&format!("| {data} |"))).unwrap();
        row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let head = row("c");
    assert_eq!(head[2..], ["items", "gzip", "special", ""], "{text}");
    assert_eq!((row("texts")[2].as_str(), row("texts")[4].as_str()), ("2", "-"), "{text}");
    assert_eq!((row("words")[2].as_str(), row("words")[4].as_str()), ("1", "20001"), "{text}");
    let wrong = fs::read_to_string(folder.join("experiments/special.toml")).unwrap();
    write("experiments/special.toml", &wrong.replace("special = [\"words", "special = [\"wrds"));
    let output = lmic_eval(folder, &["run", "special"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("wrds"), "{said}");
}

#[test]
fn lengths_beginnings_and_pipes_are_measured() {
    let project = project();
    let folder = project.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let head = "title = \"t\"\nquestion = \"?\"\ndata = [\"words\"]\nlimit = \"1M\"\n";
    write(
        "experiments/pieces.toml",
        &format!(
            "{head}kind = \"lengths\"\nx = [100, 1000, 50000]\npieces = [3, 99, 1]\ncodecs = [\"gzip\"]\n"
        ),
    );
    write(
        "experiments/begin.toml",
        &format!("{head}kind = \"context\"\nx = [500, 0]\ncodecs = [\"gzip\"]\n"),
    );
    write(
        "experiments/pipe.toml",
        &format!("{head}kind = \"pipe\"\ncodecs = [\"cmd: cat; cat\", \"cmd: cat; head -c 99\"]\n"),
    );
    let output = lmic_eval(folder, &["run", "pieces", "begin", "pipe"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("20000 bytes were sent, 99 came back"), "{said}");
    let rows = |name: &str| -> Vec<(u64, u64, u64)> {
        let mut reader = csv::Reader::from_path(folder.join(name)).unwrap();
        let rows =
            reader.deserialize().map(|row: Result<lmic_eval::record::Record, _>| row.unwrap());
        rows.map(|r| (r.x, r.items, r.raw_bytes)).collect()
    };
    // Of 20,000 bytes; none is as long as 50,000.
    assert_eq!(rows("records/pieces.csv"), [(100, 3, 300), (1000, 20, 20_000)]);
    assert_eq!(rows("records/begin.csv"), [(500, 1, 500), (0, 1, 20_000)]);
    assert_eq!(rows("records/pipe.csv"), [(0, 1, 20_000)]);
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
