//! What the demonstration prints.

use std::io::{self, Write};
use std::time::Duration;

use telegram_sim::{Row, RowKind};

use super::cast::{OPERATORS, PEOPLE};
use super::script::Scene;

/// What became of everything.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) accepted: usize,
    pub(super) duplicates: usize,
    pub(super) refused: usize,
    pub(super) opened: usize,
    pub(super) replaced: usize,
    pub(super) closed: usize,
    pub(super) delivered: u64,
    /// Entries under which their result was written.
    pub(super) edited: u64,
    /// The longest time from the post of an alert to its last message.
    pub(super) slowest: Duration,
}

const WIDTH: usize = 78;

/// Prints to a terminal in colour, elsewhere without.
pub(super) struct Screen<W> {
    out: W,
    colour: bool,
    /// The last line tells of an edit: further edits follow without a gap.
    after_edit: bool,
}

impl<W: Write> Screen<W> {
    pub(super) const fn new(out: W, colour: bool) -> Self {
        Self { out, colour, after_edit: false }
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.style("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.style("2", text)
    }

    /// Who takes part.
    pub(super) fn opening(&mut self, webhook: &str) -> io::Result<()> {
        let title = self.bold("Alertcast: TradingView alerts become messages");
        writeln!(self.out, "\n{title}\n")?;
        writeln!(
            self.out,
            "An embedded store, a stand-in for Telegram that keeps its limits, and five subscribers:\n"
        )?;
        for person in &PEOPLE {
            writeln!(self.out, "  {:<7}{}", person.name, self.dim(person.about))?;
        }
        writeln!(self.out, "\nTradingView posts to {webhook}")
    }

    /// A request about to be made.
    pub(super) fn scene(&mut self, number: usize, scene: &Scene) -> io::Result<()> {
        self.after_edit = false;
        let title = format!("{number}  {} ", scene.title);
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 3));
        writeln!(self.out, "\n{}", self.bold(&format!("── {title}{rule}")))?;
        for line in wrap(scene.note, WIDTH) {
            writeln!(self.out, "{}", self.dim(&line))?;
        }
        let (query, kind) = (scene.query, scene.content_type);
        writeln!(self.out, "\n  POST /webhook/…{query}   {}", self.dim(kind))?;
        for line in scene.body.lines().flat_map(|line| wrap(line, WIDTH - 4)) {
            writeln!(self.out, "  {line}")?;
        }
        Ok(())
    }

    /// What came back.
    pub(super) fn answer(&mut self, status: u16, body: &str, took: Duration) -> io::Result<()> {
        let colour = if status < 300 { "32" } else { "33" };
        let status = self.style(colour, &format!("{status} {}", reason(status)));
        writeln!(self.out, "  {status}   {}", self.dim(&format!("{:.1} ms", took.as_secs_f64() * 1_000.0)))?;
        for line in wrap(body, WIDTH - 4) {
            writeln!(self.out, "  {line}")?;
        }
        Ok(())
    }

    /// A message that arrived, or was edited.
    pub(super) fn arrived(&mut self, row: &Row, after: Duration) -> io::Result<()> {
        let name = match PEOPLE.iter().find(|person| person.chat == row.chat_id) {
            Some(person) => person.name,
            None if row.chat_id == OPERATORS => "The operators",
            None => "Somebody",
        };
        if row.kind == RowKind::Edit {
            // Its end is what is new.
            let result = row.plain.lines().last().unwrap_or_default();
            let gap = if std::mem::replace(&mut self.after_edit, true) { "" } else { "\n" };
            return writeln!(self.out, "{gap}    {} {} {result}", self.bold(name), self.dim("✎ entry updated:"));
        }
        self.after_edit = false;
        let head = format!("{} {}", self.bold(name), self.dim(&format!("after {} ms", after.as_millis())));
        writeln!(self.out, "\n    {head}")?;
        let bar = self.style("36", "│");
        for line in row.plain.lines() {
            writeln!(self.out, "    {bar} {line}")?;
        }
        Ok(())
    }

    /// The end.
    pub(super) fn summary(&mut self, sum: &Summary) -> io::Result<()> {
        let rule = "─".repeat(WIDTH);
        writeln!(self.out, "\n{}", self.bold(&rule))?;
        let alerts =
            format!("{} accepted, {} recognised as resent, {} refused", sum.accepted, sum.duplicates, sum.refused);
        let trades = format!("{} opened, {} replaced, {} closed", sum.opened, sum.replaced, sum.closed);
        let slowest = format!("{:.2} s at most", sum.slowest.as_secs_f64());
        for (what, value) in [
            ("Alerts", alerts.as_str()),
            ("Trades", trades.as_str()),
            ("Messages", &format!("{} delivered, {} entries updated with their results", sum.delivered, sum.edited)),
            ("From post to last message", &slowest),
        ] {
            writeln!(self.out, "  {what:<28}{}", self.bold(value))?;
        }
        writeln!(self.out)
    }

    /// What can be done now.
    pub(super) fn invitation(&mut self, webhook: &str, telegram: &str) -> io::Result<()> {
        writeln!(self.out, "It goes on running. Post an alert of your own:\n")?;
        writeln!(self.out, "  curl -i {webhook} -H 'Content-Type: text/plain' -d \\")?;
        writeln!(
            self.out,
            "    '{{\"symbol\":\"BTCUSDT\",\"timeframe\":\"1h\",\"strategy\":\"EMA Cross\",\"signal\":\"SELL\",\"price\":65900}}'\n"
        )?;
        writeln!(self.out, "Messages appear here; Asha's whole chat: curl {telegram}/sim/transcript/1001.txt")?;
        writeln!(self.out, "Ctrl-C ends it, and removes what it stored.")
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK (a duplicate)",
        202 => "Accepted",
        400 => "Bad Request",
        422 => "Unprocessable Content",
        _ => "",
    }
}

/// Breaks a line at spaces so that it fits.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(current) = lines.last_mut() {
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
    }
    lines
}
