//! Latency against load, a picture for each journey.

use std::path::Path;

use plotters::prelude::*;

use crate::report::{Open, Report, Spread};

const SIZE: (u32, u32) = (760, 420);
const COLORS: [RGBColor; 3] = [RGBColor(0x0B, 0x65, 0x72), RGBColor(0xA3, 0x20, 0x1D), RGBColor(0x5B, 0x5B, 0xA0)];

/// A line of a picture: where it is from, which share of the requests, and its points (per second, ms).
struct Line {
    label: String,
    color: ShapeStyle,
    points: Vec<(f64, f64)>,
}

/// Its name, how to read it, how wide its line is.
type Figure = (&'static str, fn(&Open) -> f64, u32);

/// Draws what was measured at more than one rate; how many pictures.
pub fn draw(report: &Report, folder: &Path) -> usize {
    let mut names: Vec<&str> = Vec::new();
    for journey in report.sites.iter().flat_map(|site| &site.journeys) {
        if !names.contains(&journey.name.as_str()) {
            names.push(&journey.name);
        }
    }
    let drawn = names.into_iter().filter(|name| {
        let lines = lines(report, name);
        let file = folder.join(format!("{}.svg", name.replace([' ', ','], "-").replace("--", "-")));
        !lines.is_empty() && picture(name, &lines, &file).is_ok()
    });
    drawn.count()
}

fn lines(report: &Report, name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (site, color) in report.sites.iter().zip(COLORS.iter().cycle()) {
        let Some(journey) = site.journey(name) else { continue };
        let mut shares: Vec<u32> = journey.open.iter().map(|open| open.share).collect();
        shares.dedup();
        if shares.len() < 2 {
            continue;
        }
        let figures: [Figure; 2] = [("p50", |open| open.p50_us, 1), ("p99", |open| open.p99_us, 3)];
        for (label, figure, width) in figures {
            let median =
                |share, figure: fn(&Open) -> f64| journey.of_open(share, figure).map(|Spread { median, .. }| median);
            let point = |share: &u32| Some((median(*share, |open| open.rate)?, median(*share, figure)? / 1e3));
            let points = shares.iter().filter_map(point).collect();
            lines.push(Line { label: format!("{} {label}", site.name), color: color.stroke_width(width), points });
        }
    }
    lines
}

fn picture(name: &str, lines: &[Line], file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let canvas = SVGBackend::new(file, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
    let least = points().map(|(_, ms)| *ms).fold(f64::MAX, f64::min);
    let mut chart = ChartBuilder::on(&canvas)
        .margin(12)
        .caption(format!("{name}: latency against load"), ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            0.0..most(|(rate, _)| *rate) * 1.05,
            (least * 0.7..most(|(_, ms)| *ms) * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("requests a second")
        .y_desc("ms")
        .x_labels(8)
        .x_label_formatter(&|rate| format!("{rate:.0}"))
        .y_label_formatter(&|ms| format!("{ms:.2}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for Line { label, color, points } in lines {
        let style = *color;
        chart
            .draw_series(std::iter::once(PathElement::new(points.clone(), style)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()?;
    canvas.present()?;
    Ok(())
}
