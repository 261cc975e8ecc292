//! docs/limits.md: each number in it is a number of the modules that its row names.

use std::collections::BTreeSet;

use super::{files_below, in_backticks, root, rows, text};

const DOCUMENT: &str = "docs/limits.md";

/// A duration's units, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("days", 86_400_000),
    ("day", 86_400_000),
    ("years", 31_536_000_000),
];

/// In thousandths, so that half a second is a number too.
fn thousandths(digits: &str) -> Option<u64> {
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u64>().ok()?.checked_mul(1000)? + part.parse::<u64>().ok()?)
}

/// The numbers in a source outside of its tests and comments, and the products that are written out: `24 * 60 * 60`.
fn numbers(source: &str) -> BTreeSet<u64> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]);
    let (mut found, mut product, mut word) = (BTreeSet::new(), None::<u64>, String::new());
    for c in code.flat_map(str::chars) {
        let is_range = c == '.' && word.ends_with('.');
        if (c.is_alphanumeric() || c == '_' || c == '.') && !is_range {
            word.push(c);
            continue;
        }
        let digits = word.trim_end_matches('.').replace('_', "");
        if let Some(number) = digits.starts_with(|c: char| c.is_ascii_digit()).then(|| thousandths(&digits)).flatten() {
            found.insert(number);
            product = Some(product.map_or(number, |before| before.saturating_mul(number) / 1000));
            found.extend(product);
        }
        // Only a product goes on.
        if c != '*' && c != ' ' || !word.is_empty() && digits.parse::<f64>().is_err() {
            product = None;
        }
        word.clear();
    }
    found
}

/// The quantities of a cell outside of its backticks: thousandths, and the unit behind them.
fn quantities(cell: &str) -> Vec<(String, u64, String)> {
    let outside: String = cell.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let words: Vec<_> = outside.split_whitespace().collect();
    let quantity = |at: usize| {
        let digits = words[at].trim_end_matches([',', ';', '.', ')', ':']).replace(',', "");
        let is_whole_word = words[at].starts_with(|c: char| c.is_ascii_digit());
        let unit =
            if words[at].ends_with([',', ';', ')', ':']) { "" } else { words.get(at + 1).copied().unwrap_or("") };
        let unit = unit.trim_end_matches([',', ';', '.', ')', ':']).to_owned();
        is_whole_word.then(|| thousandths(&digits)).flatten().map(|number| (digits, number, unit))
    };
    (0..words.len()).filter_map(quantity).collect()
}

/// What may stand in the source for a quantity: bytes are written out, a duration is in any unit.
fn spellings(number: u64, unit: &str) -> Vec<u64> {
    match (unit, UNITS.iter().find(|(name, _)| *name == unit)) {
        ("KiB", _) => vec![number << 10],
        ("MiB", _) => vec![number << 20],
        (_, Some((_, size))) => {
            UNITS.iter().map(|(_, other)| number * size / other).filter(|spelt| *spelt > 0).collect()
        }
        (_, None) => vec![number],
    }
}

#[test]
fn every_number_of_the_table_is_one_of_its_modules() {
    let (rows, mut wrong, mut count) = (rows(&text(DOCUMENT)), Vec::new(), 0);
    assert!(rows.len() > 100, "only {} rows could be read", rows.len());
    for row in &rows {
        let [what, limit, _, place] = row.as_slice() else { panic!("a row has other columns: {row:?}") };
        let mut known = BTreeSet::new();
        for module in in_backticks(place) {
            let path = format!("src/{}", module.replace("::", "/"));
            let mut files = vec![format!("{path}.rs")];
            if root().join(&path).is_dir() {
                files.extend(files_below(&path));
            }
            files.retain(|file| root().join(file).is_file());
            assert!(!files.is_empty(), "{what}: there is no module {module}");
            known.extend(files.iter().flat_map(|file| numbers(&text(file))));
        }
        for (digits, number, unit) in quantities(limit) {
            count += 1;
            if !spellings(number, &unit).iter().any(|spelt| known.contains(spelt)) {
                let quantity = format!("{digits} {unit}");
                wrong.push(format!("{what}: {} is no number of {place}", quantity.trim_end()));
            }
        }
    }
    assert!(count > 150, "only {count} numbers were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_readers_of_this_test_read_what_is_written() {
    let source = "const A: u64 = 24 * 60 * 60;\nlet b = from_millis(1_500);\n(22..=128).contains(x2) 0.5\n// 77\n#[cfg(test)]\nmod t { 77 }";
    let found = numbers(source);
    assert!([86_400, 1500, 22, 128].iter().all(|number| found.contains(&(number * 1000))) && found.contains(&500));
    assert!(!found.contains(&77_000) && !found.contains(&2000), "{found:?}");
    let read = quantities("30 s, `x 5` 1.5 h; 50,000 addresses, an IPv6 /64, 16 KiB");
    let read: Vec<_> = read.iter().map(|(_, number, unit)| (*number, unit.as_str())).collect();
    assert_eq!(read, [(30_000, "s"), (1500, "h"), (50_000_000, "addresses"), (16_000, "KiB")]);
    assert!(spellings(1500, "h").contains(&90_000) && spellings(16_000, "KiB") == [16_384_000]);
}
