//! Sign-ins per day as a picture (SVG), with its numbers beside it for whoever does not see it.
//!
//! Above the line stands who came in, below it who was refused; a full bar is Direct Login, a hollow one Unified Login:
//! no colour is needed to tell them apart. The library writes colours as attributes; `app.css` puts the theme's own in
//! their place, so that light and dark are the same picture.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::store::activity::counts::SignIns;
use crate::time::Day;

/// Width, height and the most dates below it, in its own units; a page scales it. One for a phone, one for a card that is
/// as wide as a screen.
const SMALL: (u32, u32, usize) = (640, 240, 5);
const WIDE: (u32, u32, usize) = (1120, 260, 10);
/// Room for numbers and dates, in the large type that a narrow page takes.
const LEFT: u32 = 62;
const BELOW: u32 = 34;
/// Room for the half of a date that stands to the right of its bar.
const HALF_A_DATE: u32 = 36;

const SIGNED_IN: RGBColor = RGBColor(0x0B, 0x65, 0x72);
const REFUSED: RGBColor = RGBColor(0xA3, 0x20, 0x1D);
const WORDS: RGBColor = RGBColor(0x4A, 0x60, 0x67);
const GRID: RGBColor = RGBColor(0xD6, 0xE0, 0xE3);
const ZERO: RGBColor = RGBColor(0x75, 0x8B, 0x92);

/// What a page shows.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The picture for a narrow page; empty where there is nothing to draw.
    pub small: String,
    /// The same for a wide one.
    pub wide: String,
    /// What it says, in a sentence.
    pub label: String,
    /// What each kind of bar is, with the total.
    pub legend: [Legend; 4],
    /// Each day, the newest first.
    pub days: Vec<(String, SignIns)>,
    /// There are earlier days within the filter.
    pub cut: bool,
}

/// What a kind of bar is.
#[derive(Clone, Debug)]
pub struct Legend {
    /// In words.
    pub label: &'static str,
    /// How many.
    pub count: String,
    /// As the bars are painted.
    pub fill: String,
    /// As the bars are edged.
    pub stroke: String,
}

impl Chart {
    /// The picture of some days and what was counted on each; `today` is the date at hand.
    #[must_use]
    pub fn of(days: &[Day], counts: &[SignIns], cut: bool, today: &str) -> Self {
        Self::titled("Sign-ins per day", days, counts, cut, today)
    }

    /// The same of some hours.
    #[must_use]
    pub fn of_hours(hours: &[Day], counts: &[SignIns]) -> Self {
        Self::titled("Sign-ins per hour", hours, counts, false, "")
    }

    fn titled(title: &str, days: &[Day], counts: &[SignIns], cut: bool, today: &str) -> Self {
        let sum: SignIns = counts.iter().copied().sum();
        let legend = [
            legend("Direct Login", sum.direct, SIGNED_IN, true),
            legend("Unified Login", sum.unified, SIGNED_IN, false),
            legend("Direct Login, refused", sum.direct_refused, REFUSED, true),
            legend("Unified Login, refused", sum.unified_refused, REFUSED, false),
        ];
        let parts: Vec<_> = legend.iter().map(|part| format!("{} {}", part.label, part.count)).collect();
        let span = match days {
            [] => String::new(),
            [day] => format!(" on {}", day.date),
            [first, .., last] => format!(" from {} to {}", first.date, last.date),
        };
        let picture = |size| {
            if sum == SignIns::default() {
                return String::new();
            }
            draw(days, counts, today, size).unwrap_or_else(|error| {
                tracing::error!(%error, "a picture could not be drawn");
                String::new()
            })
        };
        let date = |day: &Day| if day.date == today { format!("{} (today)", day.date) } else { day.date.clone() };
        Self {
            small: picture(SMALL),
            wide: picture(WIDE),
            label: format!("{title}{span}: {}.", parts.join("; ")),
            legend,
            days: days.iter().map(date).zip(counts.iter().copied()).rev().collect(),
            cut,
        }
    }
}

fn legend(label: &'static str, count: i64, color: RGBColor, solid: bool) -> Legend {
    let (color, none) = (hex(color), "none".to_owned());
    let (fill, stroke) = if solid { (color, none) } else { (none, color) };
    Legend { label, count: grouped(count), fill, stroke }
}

/// A colour as the library writes it.
fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02X}{g:02X}{b:02X}")
}

type Failed = DrawingAreaErrorKind<std::io::Error>;

fn draw(
    days: &[Day],
    counts: &[SignIns],
    today: &str,
    (width, height, dates): (u32, u32, usize),
) -> Result<String, Failed> {
    let mut svg = String::new();
    let canvas = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
    let most = |of: fn(&SignIns) -> i64| counts.iter().map(of).max().unwrap_or_default();
    let (up, down) = (most(|day| day.direct + day.unified), most(|day| day.direct_refused + day.unified_refused));
    // A little room beyond the longest bar, and whole numbers on the axis however few there are.
    let room = (up + down) / 20;
    let range = -(down + if down > 0 { room } else { 0 })..(up + room).max(4 - down);
    let lowest = range.start;
    let mut chart = ChartBuilder::on(&canvas)
        .margin_top(10)
        .margin_right(HALF_A_DATE)
        .x_label_area_size(BELOW)
        .y_label_area_size(LEFT)
        .build_cartesian_2d((0..days.len()).into_segmented(), range)?;
    let style = ("sans-serif", 16).into_font().color(&WORDS);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .axis_style(TRANSPARENT)
        .y_max_light_lines(1)
        .bold_line_style(GRID)
        .x_labels(1)
        .y_labels(5)
        .label_style(style.clone())
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|count| short(count.abs()))
        .draw()?;
    // The newest day always has its date, and the others at one distance from it.
    let below = style.pos(Pos::new(HPos::Center, VPos::Top));
    for (at, day) in days.iter().enumerate().rev().step_by(days.len().div_ceil(dates).max(1)) {
        let (x, y) = chart.backend_coord(&(SegmentValue::CenterOf(at), lowest));
        let label = if day.date == today { "Today" } else { &day.label };
        canvas.draw(&Text::new(label.to_owned(), (x, y + 8), below.clone()))?;
    }
    let gap = width.saturating_sub(LEFT) / u32::try_from(days.len()).unwrap_or(u32::MAX).max(1) / 8;
    for (at, day) in counts.iter().enumerate() {
        let (zero, direct, refused) = (0, day.direct, -day.direct_refused);
        for (from, to, color, full) in [
            (zero, direct, SIGNED_IN, true),
            (direct, direct + day.unified, SIGNED_IN, false),
            (zero, refused, REFUSED, true),
            (refused, refused - day.unified_refused, REFUSED, false),
        ] {
            if from != to {
                let corners = [(SegmentValue::Exact(at), from.max(to)), (SegmentValue::Exact(at + 1), from.min(to))];
                let style = if full { color.filled() } else { color.into() };
                let mut bar = Rectangle::new(corners, style);
                bar.set_margin(0, 0, gap, gap);
                chart.draw_series(std::iter::once(bar))?;
            }
        }
    }
    let ends = [(SegmentValue::Exact(0), 0), (SegmentValue::Exact(days.len()), 0)];
    chart.draw_series(std::iter::once(PathElement::new(ends, ZERO)))?;
    canvas.present()?;
    drop((chart, canvas));
    Ok(svg)
}

/// A number as people read it: `12,345`.
pub(in crate::console) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that fits beside the axis: `900`, `15k`, `2.5M`.
fn short(number: i64) -> String {
    match number {
        1_000_000.. => format!("{}.{}M", number / 1_000_000, number / 100_000 % 10).replace(".0M", "M"),
        10_000.. => format!("{}k", number / 1000),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Timestamp, days};

    fn thirty() -> Vec<Day> {
        days(None, Timestamp(1_773_028_800_000), "America/Chicago", 30)
    }

    #[test]
    fn the_picture_is_what_the_policy_allows_and_the_stylesheet_knows() {
        let days = thirty();
        let mut counts = vec![SignIns::default(); days.len()];
        counts[3] = SignIns { direct: 40, direct_refused: 3, unified: 12, unified_refused: 1 };
        let chart = Chart::of(&days, &counts, false, "2026-03-08");
        let css = include_str!("../../../templates/assets/app.css");
        for (svg, dates) in [(&chart.small, 5), (&chart.wide, 10)] {
            assert_eq!(svg.matches("<rect").count(), 4);
            let months = ["Feb ", "Mar ", "Today"].map(|word| svg.matches(word).count());
            assert_eq!(months.iter().sum::<usize>(), dates);
            assert_eq!(months[2], 1);
            for forbidden in ["style=", "<style", "<script", "href", "url("] {
                assert!(!svg.contains(forbidden), "{forbidden}");
            }
            for color in [SIGNED_IN, REFUSED, GRID, ZERO].map(hex) {
                assert!(svg.contains(&color) && css.contains(&color), "{color}");
            }
        }
        assert_eq!((chart.days[0].0.as_str(), chart.days[1].0.as_str()), ("2026-03-08 (today)", "2026-03-07"));
        assert_eq!(
            chart.label,
            "Sign-ins per day from 2026-02-07 to 2026-03-08: Direct Login 40; Unified Login 12; Direct Login, refused 3; Unified Login, refused 1."
        );
        assert_eq!(chart.days[26].1, counts[3], "the newest day first");
    }

    #[test]
    fn where_there_is_nothing_nothing_is_drawn() {
        let days = thirty();
        assert_eq!(Chart::of(&days, &vec![SignIns::default(); 30], false, "").wide, "");
        assert_eq!(Chart::of(&[], &[], false, "").small, "");
        let one = SignIns { unified_refused: 1, ..SignIns::default() };
        assert!(Chart::of(&days[..1], &[one], false, "").small.contains("<rect"));
    }

    #[test]
    fn numbers_fit_where_they_stand() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 9999, 10_000, 2_000_000, 2_500_000].map(short), ["0", "9999", "10k", "2M", "2.5M"]);
    }
}
