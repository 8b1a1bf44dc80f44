//! Durations and sizes in few characters.

/// Two units at most: `42s`, `3m07s`, `2h05m`, `1d02h`.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// As `wg show` has it: `92 B`, `1.20 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let power = count.ilog2() / 10;
    // Two decimals need no more precision than f64 has.
    #[allow(clippy::cast_precision_loss)]
    let value = count as f64 / (1_u64 << (10 * power)) as f64;
    format!("{value:.2} {}", UNITS[power as usize - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [0, 59, 60, 187, 3599, 3600, 7500, 86_399, 86_400, 93_600, 40_000_000].map(duration);
        let expected =
            ["0s", "59s", "1m00s", "3m07s", "59m59s", "1h00m", "2h05m", "23h59m", "1d00h", "1d02h", "462d23h"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn sizes_are_binary() {
        let shown = [0, 92, 1023, 1024, 1_258_291, 1 << 30, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "92 B", "1023 B", "1.00 KiB", "1.20 MiB", "1.00 GiB", "16.00 EiB"]);
    }
}
