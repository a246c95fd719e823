//! What the demonstration prints.

use std::io::{self, Write};
use std::time::Duration;

use telegram_sim::{RowKind, TranscriptRow};

use super::script::DemoRequest;
use super::subscribers::{OPERATORS, PEOPLE};
use super::watch::ObservedRequest;

/// What became of everything.
#[derive(Debug, Default)]
pub(super) struct DemoSummary {
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

/// No line is longer, however wide the terminal is.
const WIDTH_MAX: usize = 78;
/// Narrower is nothing laid out.
const WIDTH_MIN: usize = 60;

/// How wide the lines are: as the terminal is, within bounds.
pub(super) fn width() -> usize {
    let of_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    of_terminal.filter(|columns| *columns > 0).unwrap_or(WIDTH_MAX).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// Prints to a terminal in colour, elsewhere without.
pub(super) struct DemoScreen<W> {
    out: W,
    colour: bool,
    width: usize,
    /// The last line tells of an edit: further edits follow without a gap.
    after_edit: bool,
}

impl<W: Write> DemoScreen<W> {
    pub(super) const fn new(out: W, colour: bool, width: usize) -> Self {
        Self { out, colour, width, after_edit: false }
    }

    /// Running text.
    fn text(&mut self, text: &str) -> io::Result<()> {
        for line in wrap(text, self.width) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Text under a margin.
    fn write_indented(&mut self, margin: usize, text: &str) -> io::Result<()> {
        for line in text.lines().flat_map(|line| wrap(line, self.width - margin)) {
            writeln!(self.out, "{:margin$}{line}", "")?;
        }
        Ok(())
    }

    /// A name with what is said of it beside it.
    fn beside(&mut self, head: &str, columns: usize, text: &str, style: &str) -> io::Result<()> {
        for (number, line) in wrap(text, self.width - columns).iter().enumerate() {
            let head = if number == 0 { head } else { "" };
            writeln!(self.out, "{head:<columns$}{}", self.style(style, line))?;
        }
        Ok(())
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
    pub(super) fn show_opening(&mut self, webhook: &str) -> io::Result<()> {
        let title = self.bold("Alertcast: TradingView alerts become messages");
        writeln!(self.out, "\n{title}\n")?;
        self.text("An embedded store, a stand-in for Telegram that keeps its limits, and five subscribers:")?;
        writeln!(self.out)?;
        for person in &PEOPLE {
            self.beside(&format!("  {}", person.name), 9, person.about, "2")?;
        }
        writeln!(self.out)?;
        self.text(&format!("TradingView posts to {webhook}"))
    }

    /// A request about to be made.
    pub(super) fn scene(&mut self, number: usize, scene: &DemoRequest) -> io::Result<()> {
        self.after_edit = false;
        self.headline(&format!("{number}  {}", scene.title))?;
        for line in wrap(scene.note, self.width) {
            writeln!(self.out, "{}", self.dim(&line))?;
        }
        self.show_posted(scene.query, scene.content_type, &scene.body)
    }

    /// A request that somebody else has made, and what came back.
    pub(super) fn request(&mut self, seen: &ObservedRequest) -> io::Result<()> {
        self.after_edit = false;
        self.headline("Your request")?;
        self.show_posted(&seen.query, &seen.content_type, &seen.body)?;
        self.answer(seen.status, &seen.answer, seen.took)
    }

    fn headline(&mut self, title: &str) -> io::Result<()> {
        let rule = "─".repeat(self.width.saturating_sub(title.chars().count() + 4));
        writeln!(self.out, "\n{}", self.bold(&format!("── {title} {rule}")))
    }

    fn show_posted(&mut self, query: &str, kind: &str, body: &str) -> io::Result<()> {
        writeln!(self.out)?;
        self.write_indented(2, &format!("POST /webhook/…{query}"))?;
        if !kind.is_empty() {
            writeln!(self.out, "  {}", self.dim(kind))?;
        }
        self.write_indented(2, body)
    }

    /// What came back.
    pub(super) fn answer(&mut self, status: u16, body: &str, took: Duration) -> io::Result<()> {
        let colour = if status < 300 { "32" } else { "33" };
        let status = self.style(colour, &format!("{status} {}", reason(status)));
        writeln!(self.out, "  {status}   {}", self.dim(&format!("{:.1} ms", took.as_secs_f64() * 1_000.0)))?;
        self.write_indented(2, body)
    }

    /// A message that arrived, or was edited; `after`: how long after the request.
    pub(super) fn show_arrived(&mut self, row: &TranscriptRow, after: Option<Duration>) -> io::Result<()> {
        let name = match PEOPLE.iter().find(|person| person.chat == row.chat_id) {
            Some(person) => person.name,
            None if row.chat_id == OPERATORS => "The operators",
            None => "Somebody",
        };
        if row.kind == RowKind::Edit {
            // Its end is what is new.
            let result = row.plain.lines().last().unwrap_or_default();
            let gap = if std::mem::replace(&mut self.after_edit, true) { "" } else { "\n" };
            let told = format!("{name} ✎ entry updated: {result}");
            let lines = wrap(&told, self.width - 4);
            for (number, line) in lines.iter().enumerate() {
                let gap = if number == 0 { gap } else { "" };
                let line = line.strip_prefix(name).map_or_else(|| line.clone(), |rest| self.bold(name) + rest);
                writeln!(self.out, "{gap}    {line}")?;
            }
            return Ok(());
        }
        self.after_edit = false;
        let after = after.map_or_else(String::new, |after| format!(" after {} ms", after.as_millis()));
        writeln!(self.out, "\n    {}{}", self.bold(name), self.dim(&after))?;
        let bar = self.style("36", "│");
        for line in row.plain.lines().flat_map(|line| wrap(line, self.width - 6)) {
            writeln!(self.out, "    {bar} {line}")?;
        }
        Ok(())
    }

    /// The end.
    pub(super) fn summary(&mut self, sum: &DemoSummary) -> io::Result<()> {
        let rule = "─".repeat(self.width);
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
            self.beside(&format!("  {what}"), 30, value, "1")?;
        }
        writeln!(self.out)
    }

    /// What can be done now.
    pub(super) fn invitation(&mut self, webhook: &str, telegram: &str) -> io::Result<()> {
        writeln!(self.out, "It goes on running. Post an alert of your own:\n")?;
        // Broken where a shell takes it as one command.
        writeln!(self.out, "  curl -i -H 'Content-Type: text/plain' \\")?;
        writeln!(self.out, "    {webhook} \\")?;
        writeln!(self.out, "    -d '{{\"symbol\":\"BTCUSDT\",\"timeframe\":\"1h\",")?;
        writeln!(self.out, "    \"strategy\":\"EMA Cross\",\"signal\":\"SELL\",\"price\":65900}}'\n")?;
        writeln!(self.out, "Messages appear here; Asha's whole chat:\n")?;
        writeln!(self.out, "  curl {telegram}/sim/transcript/1001.txt\n")?;
        writeln!(self.out, "Ctrl-C ends it, and removes what it stored.")
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK (a duplicate)",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "",
    }
}

/// How many columns a text takes on a terminal: signs of the pictorial and East Asian blocks take two.
fn columns(text: &str) -> usize {
    let of = |c: char| match c {
        '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff00}'..='\u{ff60}' => 2,
        '\u{1f000}'.. => 2,
        _ => 1,
    };
    text.chars().map(of).sum()
}

/// Breaks a line at spaces so that it fits; a word that is longer by itself is cut.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last().map_or(0, |line| columns(line));
        if last > 0 && last + 1 + columns(word) > width {
            lines.push(String::new());
        }
        if let (true, Some(current)) = (word.is_empty(), lines.last_mut()) {
            // Blanks side by side stay; a line begins with none.
            if !current.is_empty() {
                current.push(' ');
            }
            continue;
        }
        let letters: Vec<char> = word.chars().collect();
        for (number, part) in letters.chunks(width.max(1)).enumerate() {
            if number > 0 {
                lines.push(String::new());
            }
            if let Some(current) = lines.last_mut() {
                if !current.is_empty() {
                    current.push(' ');
                }
                current.extend(part);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "A note that is so long that it has to be broken into several lines, whatever the width of the terminal                         may be, as long as that is one of those that are allowed for.";

    #[test]
    fn nothing_that_is_shown_is_wider_than_the_terminal() {
        let body = format!("{{\"symbol\": \"{}\", \"price\": 1}}", "X".repeat(200));
        let scene = DemoRequest { title: "A title", note: NOTE, body: body.clone(), query: "?a=b", content_type: "t" };
        let seen = ObservedRequest {
            at: alertcast_core::time::Time::from_millis(0),
            query: format!("?strategy={}", "y".repeat(90)),
            content_type: "text/plain".to_owned(),
            body,
            status: 422,
            answer: "z".repeat(130),
            took: Duration::from_millis(3),
        };
        let summary = DemoSummary {
            accepted: 999,
            duplicates: 999,
            refused: 999,
            delivered: 999,
            edited: 999,
            ..DemoSummary::default()
        };
        for width in [60, 70, 78] {
            let mut screen = DemoScreen::new(Vec::new(), false, width);
            screen.show_opening("http://127.0.0.1:40000/webhook/demo-0123456789abcdef").unwrap();
            screen.scene(1, &scene).unwrap();
            screen.request(&seen).unwrap();
            screen.summary(&summary).unwrap();
            screen
                .invitation("http://127.0.0.1:40000/webhook/demo-0123456789abcdef", "http://127.0.0.1:40001")
                .unwrap();
            let shown = String::from_utf8(screen.out).unwrap();
            assert!(shown.contains("Your request") && shown.contains("422 Unprocessable Content"));
            for line in shown.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_line_is_broken_between_words_and_a_long_word_is_cut() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("  x", 8), ["x"]);
        assert_eq!(wrap("a 0123456789", 4), ["a", "0123", "4567", "89"]);
    }
}
