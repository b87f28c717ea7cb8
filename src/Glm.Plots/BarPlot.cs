using System.Globalization;

namespace Glm.Plots;

/// <summary>The length of a bar and, where it is an estimate, between what it lies.</summary>
public readonly record struct Bar(double Value, double? Low = null, double? High = null)
{
    /// <summary>A number is a bar without bounds.</summary>
    public static implicit operator Bar(double value) => new(value);
}

/// <summary>Bars of one colour, one for each category.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="Bars">In the order of the categories; null where there is none.</param>
public sealed record BarSeries(string Name, IReadOnlyList<Bar?> Bars)
{
    /// <summary>Colour, 0 to 7; null for the place in the plot.</summary>
    public int? Slot { get; init; }
}

/// <summary>Bars side by side in groups, one group below the other, so that names of categories have room.</summary>
public sealed record BarPlot : Plot
{
    private const double BarHeight = 13, Gap = 9;

    /// <summary>The axis of the values; it begins at zero.</summary>
    public Axis Values { get; init; } = new();

    /// <summary>Names of the groups.</summary>
    public required IReadOnlyList<string> Categories { get; init; }

    /// <summary>The bars.</summary>
    public required IReadOnlyList<BarSeries> Series { get; init; }

    /// <summary>A value per category to compare with, such as chance: a short dashed line across the group.</summary>
    public IReadOnlyList<double?>? Marks { get; init; }

    /// <summary>What the marks are.</summary>
    public string MarkName { get; init; } = "";

    internal override void Draw(MarkupWriter svg, double width, bool standalone)
    {
        var legend = new MarkupWriter();
        double top = Legend(legend, [.. Series.Select((series, i) => (series.Name, Palette.Slot(series.Slot, i), false))], width, TitleHeight(width));
        bool hasMarks = Marks is not null && Marks.Any(mark => mark is not null);
        if (hasMarks && MarkName.Length > 0)
        {
            legend.Empty("line", ("class", "mark"), ("x1", 17), ("x2", 17), ("y1", top), ("y2", top + 14)).Element("text", MarkName, ("x", 31), ("y", top + 12));
            top += LineHeight + 2;
        }
        top += Values.Title.Length > 0 ? 34 : 20;
        bool isWide = width > Narrow;
        double left = Math.Min(Categories.Select(TextSize.Width).DefaultIfEmpty(0).Max() + 14, width * (isWide ? 0.36 : 0.4)), right = width - 44;
        double bottom = top + 2 + Categories.Select((_, category) => GroupHeight(category) + Gap).Sum();
        var values = Series.SelectMany(series => series.Bars).OfType<Bar>().SelectMany(bar => new[] { bar.Value, bar.Low ?? 0, bar.High ?? 0 });
        var (low, high) = Values.Range(Values.Logarithmic ? values : values.Append(0), 0);
        var x = new Scale(low, high, Values.Logarithmic, left, right);
        string form = FormOf(Math.Max(Math.Abs(low), Math.Abs(high)));
        double zero = Values.Logarithmic ? left : x[Math.Clamp(0, low, high)];

        Begin(svg, width, bottom + 8, standalone);
        svg.Raw(legend.ToString());
        if (Values.Title.Length > 0) svg.Element("text", TextSize.Fit(Values.Title, right - 8), ("class", "soft"), ("x", right), ("y", top - 22), ("text-anchor", "end"));
        foreach (var tick in Ticks.Between(low, high, Values.Logarithmic, isWide ? 8 : 5))
        {
            svg.Empty("line", ("class", "grid"), ("x1", x[tick.Value]), ("x2", x[tick.Value]), ("y1", top - 2), ("y2", bottom));
            svg.Element("text", tick.Label, ("class", "soft small"), ("x", x[tick.Value]), ("y", top - 6), ("text-anchor", "middle"));
        }
        double start = top + (Gap / 2);
        for (int category = 0; category < Categories.Count; category++)
        {
            double group = GroupHeight(category), place = start;
            svg.Element("text", TextSize.Fit(Categories[category], left - 10), ("x", left - 8), ("y", start + (group / 2) + 4.5), ("text-anchor", "end"));
            for (int i = 0; i < Series.Count; i++)
            {
                if (BarOf(Series[i], category) is not { } bar) continue;
                DrawBar(svg, x, zero, place, Palette.Slot(Series[i].Slot, i), bar, $"{Categories[category]}, {Series[i].Name}: {Shown(bar, form)}", Number(bar.Value, form));
                place += BarHeight;
            }
            if (hasMarks && Marks!.ElementAtOrDefault(category) is { } mark && Values.Shows(mark) && mark >= low && mark <= high)
                svg.Empty("line", ("class", "mark"), ("x1", x[mark]), ("x2", x[mark]), ("y1", start - 2), ("y2", start + group + 2));
            start += group + Gap;
        }
        svg.Empty("line", ("class", "axis"), ("x1", zero), ("x2", zero), ("y1", top - 2), ("y2", bottom)).Close();
    }

    private Bar? BarOf(BarSeries series, int category) => series.Bars.ElementAtOrDefault(category) is { } bar && Values.Shows(bar.Value) ? bar : null;

    /// <summary>Room for the bars that there are.</summary>
    private double GroupHeight(int category) => Math.Max(1, Series.Count(series => BarOf(series, category) is not null)) * BarHeight;

    private static void DrawBar(MarkupWriter svg, Scale x, double zero, double top, int slot, Bar bar, string text, string value)
    {
        double end = x[Math.Clamp(bar.Value, x.Low, x.High)], middle = top + (BarHeight / 2), outer = Math.Max(end, zero);
        svg.Open("g").Element("title", text);
        svg.Empty("rect", ("class", $"f{slot}"), ("x", Math.Min(zero, end)), ("y", top + 1), ("width", Math.Max(Math.Abs(end - zero), 0.75)), ("height", BarHeight - 2));
        if (bar.Low is { } low && bar.High is { } high)
        {
            double from = x[Math.Clamp(low, x.Low, x.High)], to = x[Math.Clamp(high, x.Low, x.High)];
            svg.Empty("path", ("class", "error"), ("fill", "none"), ("d",
                $"M{N(from)} {N(middle - 3)}v6M{N(to)} {N(middle - 3)}v6M{N(from)} {N(middle)}H{N(to)}"));
            outer = Math.Max(outer, to);
        }
        svg.Element("text", value, ("class", "small soft"), ("x", outer + 4), ("y", middle + 4.2)).Close();
    }

    private static string Shown(Bar bar, string form) => bar is { Low: { } low, High: { } high } ? $"{Number(bar.Value, form)} ({Number(low, form)} to {Number(high, form)})" : Number(bar.Value, form);

    /// <summary>Three digits of the longest bar, four of 100, and as many decimals for the others.</summary>
    private static string FormOf(double range) => range is >= 1e6 or < 1e-3 ? "0.##e0" : "#,0." + new string('0', Math.Clamp(2 - (int)Math.Floor(Math.Log10(range * 0.999)), 0, 6));

    private static string Number(double value, string form) => value.ToString(form, CultureInfo.InvariantCulture).Replace('-', '\u2212');

    private static string N(double value) => MarkupWriter.Number(value);
}
