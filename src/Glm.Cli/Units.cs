using System.Globalization;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>Numbers and types as people read them.</summary>
internal static class Units
{
    private static readonly string[] ByteUnits = ["bytes", "KiB", "MiB", "GiB", "TiB"];

    /// <summary>The name of an element type on the command line and in tables.</summary>
    public static string Name(DType type) => type switch
    {
        DType.BFloat16 => "bf16",
        DType.Float16 => "fp16",
        _ => type.ToString().ToLowerInvariant(),
    };

    /// <summary>A size in the largest unit of which there is at least one.</summary>
    public static string Bytes(long bytes)
    {
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < ByteUnits.Length - 1; unit++) value /= 1024;
        return unit == 0 ? $"{bytes} bytes" : $"{value:F1} {ByteUnits[unit]}";
    }

    /// <summary>Reads a size: a number and a unit, B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).</summary>
    public static bool TryParseBytes(string text, out long bytes)
    {
        string number = text.TrimEnd('B', 'b', 'i', 'I', 'K', 'k', 'M', 'm', 'G', 'g', 'T', 't'), unit = text[number.Length..].ToUpperInvariant();
        int power = unit is "" or "B" ? 0 : "KMGT".IndexOf(unit[0], StringComparison.Ordinal) + 1;
        bytes = 0;
        if (power < 0 || !(power == 0 || unit.Length == 1 || unit[1..] is "B" or "IB")) return false;
        if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)) return false;
        value *= Math.Pow(unit.EndsWith("IB", StringComparison.Ordinal) ? 1024 : 1000, power);
        if (value > long.MaxValue / 2) return false;
        bytes = (long)value;
        return true;
    }

    /// <summary>A count with a short suffix: 128.7B, 11.2M, 16.4K.</summary>
    public static string Count(double count) => count switch
    {
        >= 1e12 => $"{count / 1e12:F1}T",
        >= 1e9 => $"{count / 1e9:F1}B",
        >= 1e6 => $"{count / 1e6:F1}M",
        >= 1e3 => $"{count / 1e3:F1}K",
        _ => $"{count:F0}",
    };

    /// <summary>A duration to about the second: 4.2 s, 3 min 20 s, 2 h 5 min.</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalMinutes: < 1 } => $"{time.TotalSeconds:F1} s",
        { TotalHours: < 1 } => $"{(int)time.TotalMinutes} min {time.Seconds} s",
        _ => $"{(int)time.TotalHours} h {time.Minutes} min",
    };
}
