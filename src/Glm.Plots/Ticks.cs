using System.Globalization;

namespace Glm.Plots;

/// <summary>A round value on an axis.</summary>
/// <param name="Value">The value.</param>
/// <param name="Step">The distance to its neighbours, which decides how many digits its label needs.</param>
internal readonly record struct Tick(double Value, double Step)
{
    /// <summary>The value as short as its neighbours allow.</summary>
    public string Label
    {
        get
        {
            double size = Math.Abs(Value);
            if (size < Step * 1e-6) return "0";
            if (size is < 1e-3 or >= 1e12) return Number(Value, "0." + new string('#', Digits(Step / size)) + "e0");
            var (divisor, suffix) = size switch { >= 1e9 => (1e9, "B"), >= 1e6 => (1e6, "M"), _ when size >= (Step >= 1e4 ? 1e4 : 1e5) => (1e3, "K"), _ => (1.0, "") };
            return Number(Value / divisor, "#,0." + new string('#', Digits(Step / divisor))) + suffix;
        }
    }

    /// <summary>Decimals that tell numbers apart that differ by a step.</summary>
    private static int Digits(double step) => Math.Clamp((int)Math.Ceiling(-Math.Log10(step) - 1e-9), 0, 9);

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture).Replace('-', '\u2212');
}

/// <summary>Which ticks an axis has. The script of the page (<c>plot.js</c>) has the same rules for what it zooms to.</summary>
internal static class Ticks
{
    /// <summary>Multiples of 1, 2 or 5 times a power of ten; on a logarithmic axis of several decades, powers of ten.</summary>
    /// <param name="low">Start of the axis.</param>
    /// <param name="high">End of the axis.</param>
    /// <param name="logarithmic">Whether the axis is.</param>
    /// <param name="count">About how many there is room for.</param>
    public static Tick[] Between(double low, double high, bool logarithmic, int count)
    {
        double decades = Math.Log10(high / low);
        if (!logarithmic || decades < 0.7) return Linear(low, high, count);
        int first = (int)Math.Floor(Math.Log10(low)), last = (int)Math.Ceiling(Math.Log10(high));
        int[] digits = decades * 3 <= count ? [1, 2, 5] : [1];
        int every = Math.Max(1, (int)Math.Ceiling(decades / count));
        return
        [
            .. from power in Enumerable.Range(first, last - first + 1)
               where power % every == 0
               from digit in digits
               let tick = new Tick(digit * Math.Pow(10, power), Math.Pow(10, power))
               where tick.Value >= low * (1 - 1e-9) && tick.Value <= high * (1 + 1e-9)
               select tick,
        ];
    }

    private static Tick[] Linear(double low, double high, int count)
    {
        double raw = (high - low) / count, power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        double step = power * (raw / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        double first = Math.Ceiling((low / step) - 1e-9), last = Math.Floor((high / step) + 1e-9);
        var ticks = new Tick[(int)Math.Clamp(last - first + 1, 0, 100)];
        for (int i = 0; i < ticks.Length; i++) ticks[i] = new Tick((first + i) * step, step);
        return ticks;
    }
}
