//! Numbers and words as all forms print them.

pub(crate) use llmuses_core::wording::{UNKNOWN, counted};

/// A figure with that many decimals.
pub(crate) fn fixed(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or_else(
        || UNKNOWN.to_owned(),
        |figure| format!("{figure:.decimals$}"),
    )
}

/// The text of a number with its thousands apart: `12,345.6`. What is no number stays as it is.
pub(crate) fn grouped(text: &str) -> String {
    let sign = text.len() - text.trim_start_matches(['+', '-']).len();
    let digits = text[sign..]
        .chars()
        .take_while(char::is_ascii_digit)
        .count();
    let (whole, rest) = text[sign..].split_at(digits);
    let mut out = text[..sign].to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// A figure rounded to that many decimals, without zeros at its end but with one decimal at least: `0.2`,
/// `97.0`, as Python prints a rounded float (other than Python, never with an exponent).
pub(crate) fn rounded(figure: Option<f64>, decimals: usize) -> String {
    let text = fixed(figure, decimals);
    let Some((whole, fraction)) = text.split_once('.') else {
        return text;
    };
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.is_empty() { "0" } else { fraction };
    format!("{whole}.{fraction}")
}

/// A share from 0 to 1 as percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Text with a capital at its beginning.
pub(crate) fn first_letter_large(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().collect());
    first + letters.as_str()
}

/// Text as a sentence: a capital at its beginning, and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    first_letter_large(text) + "."
}

/// How many decimals times get whose longest has that many milliseconds: one more digit than a long time
/// deserves would only widen a table.
pub(crate) fn time_decimals(longest_millis: f64) -> usize {
    match longest_millis {
        max if max < 1e4 => 3,
        max if max < 1e5 => 2,
        _ => 1,
    }
}

/// How many decimals a figure gets: as many as its uncertainty leaves certain (the last digit is that of the first
/// digit of `half_width`, half the width of its 95 % confidence interval), four significant digits where that is
/// smaller or not known, and three decimals at most.
pub(crate) fn certain_decimals(figure: f64, half_width: Option<f64>) -> usize {
    /// The decimals that show the digit of this size.
    fn down_to(size: f64) -> usize {
        (-size.log10().floor()).clamp(0.0, 3.0) as usize
    }
    let significant = match figure.abs() {
        0.0 => 0,
        figure => down_to(figure / 1000.0),
    };
    match half_width {
        Some(half) if half > 0.0 => significant.min(down_to(half)),
        _ => significant,
    }
}

/// A figure of unknown size: three decimals, or an exponent where those would not show it.
pub(crate) fn short_figure(figure: f64) -> String {
    let magnitude = figure.abs();
    if figure == 0.0 || (1e-2..1e7).contains(&magnitude) {
        format!("{figure:.3}")
    } else {
        format!("{figure:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::certain_decimals;

    #[test]
    fn digits_follow_the_uncertainty() {
        assert_eq!(certain_decimals(54.512, Some(0.25)), 1);
        assert_eq!(certain_decimals(54.512, Some(3.0)), 0);
        assert_eq!(certain_decimals(54.512, Some(0.000_1)), 2);
        assert_eq!(certain_decimals(1234.5, Some(80.0)), 0);
        assert_eq!(certain_decimals(0.001_2, Some(0.000_3)), 3);
        assert_eq!(certain_decimals(10.0, Some(0.0)), 2);
        assert_eq!(certain_decimals(9.9, None), 3);
        assert_eq!(certain_decimals(0.0, None), 0);
    }

    #[test]
    fn thousands_are_apart() {
        let grouped = super::grouped;
        assert_eq!(grouped("1234567.8901"), "1,234,567.8901");
        assert_eq!(grouped("+12345 %"), "+12,345 %");
        assert_eq!(grouped("-999"), "-999");
        assert_eq!(grouped("n/a"), "n/a");
        assert_eq!(grouped(""), "");
    }

    #[test]
    fn figures_are_rounded_as_python_rounds_them() {
        let rounded = |figure, decimals| super::rounded(Some(figure), decimals);
        assert_eq!(rounded(0.2, 3), "0.2");
        assert_eq!(rounded(97.0, 3), "97.0");
        assert_eq!(rounded(20.666_666, 3), "20.667");
        assert_eq!(rounded(0.0, 3), "0.0");
        assert_eq!(rounded(39.07, 3), "39.07");
        assert_eq!(rounded(100.0, 3), "100.0");
        // Ties that binary can hold go to the even digit.
        assert_eq!(rounded(0.0625, 3), "0.062");
        assert_eq!(rounded(0.1875, 3), "0.188");
        assert_eq!(rounded(0.000_04, 5), "0.00004");
        assert_eq!(super::rounded(None, 3), "n/a");
    }
}
