namespace Glm.Plots;

/// <summary>One direction of a plot.</summary>
/// <param name="Title">What is measured, with its unit.</param>
public sealed record Axis(string Title = "")
{
    /// <summary>Whether equal ratios, not equal differences, have equal lengths; values of zero and below are left out.</summary>
    public bool Logarithmic { get; init; }

    /// <summary>The lowest value shown; null for that of the data.</summary>
    public double? Minimum { get; init; }

    /// <summary>The highest value shown; null for that of the data.</summary>
    public double? Maximum { get; init; }

    /// <summary>Whether a value has a place on the axis.</summary>
    internal bool Shows(double value) => double.IsFinite(value) && (!Logarithmic || value > 0);

    /// <summary>The range that holds the values, with a margin unless a bound is given; never empty.</summary>
    internal (double Low, double High) Range(IEnumerable<double> values, double margin)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (double value in values)
        {
            if (!Shows(value)) continue;
            low = Math.Min(low, value);
            high = Math.Max(high, value);
        }
        if (low > high) (low, high) = Logarithmic ? (1, 10) : (0, 1);
        if (Logarithmic)
        {
            double factor = low == high ? 2 : Math.Pow(high / low, margin);
            (low, high) = (low / factor, high * factor);
        }
        else
        {
            double room = low == high ? Math.Max(Math.Abs(low) / 2, 0.5) : (high - low) * margin;
            (low, high) = (low - room, high + room);
        }
        if (Minimum is { } minimum && Shows(minimum)) low = minimum;
        if (Maximum is { } maximum && Shows(maximum)) high = maximum;
        return low < high ? (low, high) : Logarithmic ? (high / 2, high * 2) : (high - 1, high + 1);
    }
}

/// <summary>From values to pixels.</summary>
internal readonly record struct Scale(double Low, double High, bool Logarithmic, double Start, double End)
{
    public double this[double value] => Start + ((End - Start) * (Logarithmic
        ? Math.Log(value / Low) / Math.Log(High / Low)
        : (value - Low) / (High - Low)));
}
